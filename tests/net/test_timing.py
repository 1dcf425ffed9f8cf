"""Timing a net: what is timed, that it leaves no trace, and what a device can do. Speeds are never asserted."""

from functools import partial

import numpy as np
import pytest

from convnet.backends import DeviceOptions, open_devices
from convnet.net import ConvNet, timing
from convnet.net.machine import device_rates
from convnet.net.timing import time_training
from convnet.plan.step import BPROP, COPY, FPROP, UPDATE
from convnet.plan.work import work_of
from tests.layers.examples import example

from .nets import graph_of
from .several import PARAMS, REPLICAS, TOWERS, TOWERS_PARAMS, on_cpu

IMAGE, MINI = (3, 7, 5), 6


@pytest.fixture(autouse=True)
def _soon_over(monkeypatch):
    """No more measurements than must be."""
    for module in ("timing", "machine"):
        monkeypatch.setattr(f"convnet.net.{module}._SECONDS", 0)


def a_minibatch(cases=MINI):
    random = np.random.default_rng(0)
    values = random.standard_normal((cases, *IMAGE[1:], IMAGE[0])), random.integers(0, 4, (cases, 1))
    return [each.astype(np.float32) for each in values]


def replicas(period="0"):
    return graph_of(REPLICAS.replace("GPUS", "0,1"), PARAMS.replace("PERIOD", period), image=IMAGE)


def bits(net):
    return {name: values.tobytes() for name, values in net.state().items()}


def check(found, net, cases=MINI):
    """Every step of the plan has its time, in its order, and its work."""
    assert found.step_ms > 0
    assert list(found.phases) == [FPROP, BPROP, UPDATE]
    assert all(ms > 0 for ms in found.phases.values())
    plan = net.bound.plan
    assert [time.step for time in found.steps] == plan.train
    assert all(time.ms > 0 for time in found.steps)
    assert [time.work for time in found.steps] == [work_of(step, plan, cases) for step in plan.train]
    assert {time.phase for time in found.steps} == {FPROP, BPROP, UPDATE}
    assert found.repeats >= 3


@pytest.mark.parametrize("cases", [MINI, MINI - 2])
@pytest.mark.parametrize("name", ["conv", "bnorm", "fc"])
def test_every_step_is_timed(name, cases, device):
    net = ConvNet(graph_of(*example(name), image=IMAGE), device, mini=MINI)
    check(time_training(net, a_minibatch(cases)), net, cases)


@pytest.mark.parametrize("name", ["conv", "bnorm"])
def test_weights_increments_and_statistics_stay(name, device):
    """In the midst of training; and it goes on as if nothing had been."""
    net, other = (ConvNet(graph_of(*example(name), image=IMAGE), device, mini=MINI, seed=2) for _ in range(2))
    for each in (net, other):
        each.train_minibatch(a_minibatch())
    time_training(net, a_minibatch())
    assert net.minibatches == 1
    assert bits(net) == bits(other)
    for each in (net, other):
        each.train_minibatch(a_minibatch())
    assert bits(net) == bits(other)


def test_sums_over_several_minibatches_stay():
    """Of three minibatches that are summed up, the first has been."""
    net = ConvNet(replicas(period="3"), on_cpu(2), mini=8, seed=3)
    net.train_minibatch(a_minibatch())
    before = bits(net)
    found = time_training(net, a_minibatch())
    assert any(name.endswith(".grad.1") for name in before)
    assert bits(net) == before
    assert any(time.step.every > 1 for time in found.steps), "what is not due in every minibatch is timed too"


@pytest.mark.parametrize("towers", [False, True], ids=["replicas", "towers"])
def test_several_devices(towers):
    graph = graph_of(TOWERS, TOWERS_PARAMS, image=IMAGE) if towers else replicas()
    net = ConvNet(graph, on_cpu(2), mini=8, seed=3)
    found = time_training(net, a_minibatch())
    check(found, net)
    assert any(time.step.operation == COPY for time in found.steps)
    assert {time.step.device for time in found.steps} == {0, 1}


def test_a_step_is_over_when_its_own_device_has_finished(monkeypatch):
    net, events = ConvNet(graph_of(TOWERS, TOWERS_PARAMS, image=IMAGE), on_cpu(2), mini=8, seed=3), []
    program = [(step, partial(events.append, ("begun", step.device))) for step in net.bound.plan.train]
    monkeypatch.setattr(net.bound, "program", lambda **_: program)
    for number, device in enumerate(net.devices):
        monkeypatch.setattr(device, "finish", partial(events.append, ("finished", number)))
    assert len(timing._by_step(net, MINI)) == len(program)
    assert events == [(what, step.device) for step, _ in program for what in ("begun", "finished")]
    events.clear()
    timing._by_phase(net, MINI)
    finished = [("finished", 0), ("finished", 1)]
    ends = [number for number in range(len(events)) if events[number : number + 2] == finished]
    assert len(ends) == 3
    assert events[-2:] == finished


def test_an_error_of_a_step_leaves_the_weights_as_they_were(device, monkeypatch):
    net = ConvNet(graph_of(*example("conv"), image=IMAGE), device, mini=MINI, seed=2)
    before = bits(net)

    def fail(*_):
        raise ArithmeticError

    monkeypatch.setattr("convnet.net.timing._by_phase", fail)
    with pytest.raises(ArithmeticError):
        time_training(net, a_minibatch())
    assert (bits(net), net.minibatches) == (before, 0)


def test_what_the_cpu_can_do(device):
    rates = device_rates(device)
    assert rates.gemm_gflops > 0
    assert rates.copy_gbs > 0


@pytest.mark.parametrize(("free", "largest"), [(40 * 10**6, 4 * 2**21), (10**6, 4 * 2**20)])
def test_rates_take_no_more_memory_than_there_is(free, largest, device, monkeypatch):
    """Together no more than half of it, but two arrays of 4 MiB are copied in any case."""
    sizes, allocate = [], device.allocate

    def noted(size):
        sizes.append(size)
        return allocate(size)

    monkeypatch.setattr(device, "allocate", noted)
    monkeypatch.setattr(device, "free_memory", lambda: free)
    assert device_rates(device).copy_gbs > 0
    assert 4 * 2**20 <= max(sizes) <= largest


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_cuda(precision, cuda_device):
    cuda = cuda_device(precision)
    net = ConvNet(graph_of(*example("conv"), image=IMAGE), cuda, mini=MINI, seed=2)
    before = bits(net)
    check(time_training(net, a_minibatch()), net)
    assert (bits(net), net.minibatches) == (before, 0)
    rates = device_rates(cuda)
    assert rates.gemm_gflops > 0
    assert rates.copy_gbs > 0


@pytest.mark.gpu
def test_on_two_gpus(cuda_device):
    cuda_device("fp32")
    devices = open_devices(DeviceOptions("cuda", tune=False, gpus=(0, 0)), 2)
    net = ConvNet(replicas(), devices, mini=8, seed=3)
    check(time_training(net, a_minibatch()), net)
