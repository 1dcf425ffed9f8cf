"""Nets on a CUDA device beside the same nets on the CPU, whose gradients are checked against float64 elsewhere."""

import gc

import numpy as np
import pytest

from convnet.backends import DeviceOptions
from convnet.net import ConvNet
from convnet.training.runs import continued_run
from convnet.training.testing import test_checkpoint as run_test
from tests.layers.examples import EXAMPLES, example
from tests.nets.nets import NAMES, SCALES, scaled
from tests.training.small import Place, finish

from .nets import graph_of

pytestmark = pytest.mark.gpu
# Half a unit in the last place of what is rounded: sums in float32, operands of products, activations.
UNIT = {"fp32": 2**-24, "tf32": 2**-11, "bf16": 2**-8}
# Where the slope jumps, rounding moves some numbers to the other side: those layers are compared in fp32 only.
KINKS = ("pool max", "eltmax", "neuron relu", "neuron brelu", "neuron abs")
CASES = [
    (name, precision) for name in EXAMPLES for precision in UNIT if precision == "fp32" or not name.startswith(KINKS)
]
IMAGE, MINI = (3, 7, 5), 6


def a_minibatch(maps, cases, classes, seed=0):
    random = np.random.default_rng(seed)
    channels, y, x = maps
    images = random.standard_normal((cases, y, x, channels)).astype(np.float32)
    return [images, random.integers(0, classes, (cases, 1)).astype(np.float32)]


def gradients(net, data):
    """The costs and all gradients of a minibatch, those of the images too."""
    costs = net.compute_gradients(data)
    found = {parameter.name: net.store.get("gradients", parameter) for parameter in net.graph.parameters}
    return costs, {**found, "images": net.input_gradient("data", len(data[0])).astype(np.float32)}


def check(found, expected, tolerance):
    """Costs, and gradients as vectors, agree to so much of their size, or of 1: what they add up from may be larger."""
    for layer, metrics in expected[0].items():
        assert found[0][layer]["cost"] == pytest.approx(metrics["cost"], rel=tolerance, abs=tolerance)
    for name, gradient in expected[1].items():
        size = max(np.linalg.norm(gradient), 1)
        assert np.linalg.norm(found[1][name] - gradient) <= tolerance * size, name


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_gradients_of_every_layer_type(name, precision, device, cuda_device):
    """Every step rounds once more: so many units are allowed."""
    graph = graph_of(*example(name), image=IMAGE)
    nets = [ConvNet(graph, where, mini=MINI, seed=3, input_grads=True) for where in (device, cuda_device(precision))]
    steps = len(nets[0].bound.plan.train)
    tolerance = steps * UNIT[precision] * (8 if precision == "fp32" else 1)  # float32 sums round at every addition
    for cases in (MINI, MINI - 2):
        data = a_minibatch(IMAGE, cases, classes=4, seed=cases)
        expected, found = (gradients(net, data) for net in nets)
        check(found, expected, tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_every_net(name, device, cuda_device):
    maps, graph = SCALES[name][1], scaled(name)
    data = a_minibatch((maps.channels, maps.y, maps.x), 4, classes=10)
    nets = [ConvNet(graph, where, mini=4, seed=3) for where in (device, cuda_device("fp32"))]
    for net in nets:
        net.train_minibatch(data)
    expected, found = (net.state() for net in nets)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-5, atol=1e-5 * np.abs(values).max(), err_msg=key)


@pytest.mark.parametrize("name", ["alexnet", "cifar-quick"])
def test_twenty_steps_follow_the_cpus_costs(name, device, cuda_device):
    maps, graph = SCALES[name][1], scaled(name)
    nets = [ConvNet(graph, where, mini=4, seed=3) for where in (device, cuda_device("fp32"))]
    costs = []
    for step in range(20):
        data = a_minibatch((maps.channels, maps.y, maps.x), 4, classes=10, seed=step % 3)
        costs.append([net.train_minibatch(data)["logprob"]["cost"] for net in nets])
    expected, found = np.array(costs).T
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert expected[-3:].mean() < expected[:3].mean(), "it learns nothing"


@pytest.mark.parametrize("precision", UNIT)
def test_the_same_seed_gives_the_same_bits(precision, cuda_device):
    states = []
    for _ in range(2):
        net = ConvNet(scaled("digits"), cuda_device(precision), mini=8, seed=3)
        for step in range(3):
            net.train_minibatch(a_minibatch((1, 8, 8), 8, classes=10, seed=step))
        states.append(net.state())
    assert all(np.array_equal(values, states[1][key]) for key, values in states[0].items())


def test_costs_may_be_read_after_the_next_minibatch_was_begun(cuda_device):
    """The pinned memory of one minibatch is not another's, whenever the device comes to it."""
    net, ahead = (ConvNet(scaled("digits"), cuda_device("fp32"), mini=8, seed=3) for _ in range(2))
    minibatches = [a_minibatch((1, 8, 8), cases, classes=10, seed=cases) for cases in (8, 5, 8, 3, 7, 8)]
    expected = [net.train_minibatch(data) for data in minibatches]
    begun = []
    for images, labels in minibatches:
        copies = images.copy(), labels.copy()
        begun.append(ahead.begin_training(copies))
        for copy in copies:
            copy[...] = np.nan  # as a buffer that is filled anew
    assert [costs() for costs in begun] == expected


def test_a_checkpoint_of_one_device_is_tested_and_continued_by_the_other(tmp_path, cuda_device):
    cuda_device("fp32")
    cpu, cuda = DeviceOptions("cpu", 2), DeviceOptions("cuda", tune=False)
    runs = {}
    for where, other in ((cpu, cuda), (cuda, cpu)):
        place = Place(tmp_path / where.name)
        trainer = place.start(device=where, epochs=2)
        finish(trainer)
        first, second = (run_test(trainer.run, {}, device, lambda *_: None) for device in (where, other))
        assert second.costs["logprob"]["cost"] == pytest.approx(first.costs["logprob"]["cost"], rel=1e-5)
        goes_on = continued_run(trainer.run, None, {"epochs": 3}, other)
        finish(goes_on)
        runs[where.name] = goes_on.net.state()
    for key, values in runs["cpu"].items():
        np.testing.assert_allclose(runs["cuda"][key], values, rtol=1e-3, atol=1e-4 * np.abs(values).max(), err_msg=key)


@pytest.mark.parametrize("precision", UNIT)
def test_nothing_is_allocated_after_the_first_minibatch_of_each_size(precision, cuda_device, monkeypatch):
    import pycuda.driver as cuda

    net = ConvNet(scaled("alexnet"), cuda_device(precision), mini=4, seed=3)
    minibatches = [a_minibatch((3, 67, 67), cases, classes=10) for cases in (4, 3)]

    def work():
        for data in minibatches:
            net.train_minibatch(data)
            net.test_minibatch(data)

    work()
    for name in ("mem_alloc", "pagelocked_empty", "Stream"):
        monkeypatch.setattr(cuda, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
    work()
    with pytest.raises(pytest.fail.Exception, match="mem_alloc"):
        net.device.allocate(1)


def test_a_net_that_is_gone_leaves_nothing_on_the_device(cuda_device, request):
    if request.config.option.markexpr == "gpu":
        pytest.skip("only the virtual GPU tells what is allocated on it")
    from tests.virtual_gpu import controls

    device = cuda_device("fp32")

    def work():
        net = ConvNet(scaled("cifar-local"), device, mini=4, seed=3)
        net.train_minibatch(a_minibatch((3, 14, 14), 4, classes=10))

    work()  # kernels, cuBLAS and the workspace stay with the device
    gc.collect()
    with controls.no_leaks():
        work()
        gc.collect()
