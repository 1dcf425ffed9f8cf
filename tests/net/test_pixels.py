"""Images that come as Pixels: their bytes travel, and the net is what it is with images that the host made ready."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends import PRECISIONS, DeviceOptions, open_devices
from convnet.net import ConvNet
from convnet.pixels import Pixels
from convnet.tensor import Content
from convnet.training.memory import net_memory
from tests.backends.counting import CountingDevice

from .nets import DATA, graph_of
from .several import CASES, COST, MIXED, MIXED_PARAMS, PARAMS, RATES, REPLICAS, TOWERS, TOWERS_PARAMS, on_cpu
from .test_allocation import MOST, peak

IMAGE, MINI = (3, 7, 5), 8
# Every kind of data layer: all channels, some, rows that are no whole channels, and a read in another order.
ROWS = f"""{DATA}
[some]
type=data
dataIdx=0
start=35
end=105
[rows]
type=data
dataIdx=0
start=30
end=77
[conv1]
type=conv
inputs=data
channels=3
filters=5
filterSize=3
initW=0.01
neuron=tanh[1,1]
[conv2]
type=conv
inputs=some
channels=2
filters=4
filterSize=3
initW=0.01
neuron=relu
[fc1]
type=fc
inputs=rows,some,data
outputs=7
initW=0.01,0.01,0.01
[fc2]
type=fc
inputs=conv1,conv2,fc1
outputs=4
initW=0.1,0.1,0.1
{COST}"""
ROWS_PARAMS = "".join(f"[{name}]\n{RATES}" for name in ("conv1", "conv2", "fc1", "fc2")).replace("0.1\n", "0.001\n")
NETS = {
    "rows": (ROWS, ROWS_PARAMS, 1),
    "replicas": (REPLICAS.replace("GPUS", "0,1"), PARAMS.replace("PERIOD", "0"), 2),
    "three replicas": (REPLICAS.replace("GPUS", "0,1,2"), PARAMS.replace("PERIOD", "2"), 3),
    "towers": (TOWERS, TOWERS_PARAMS, 2),
    "passes": (MIXED, MIXED_PARAMS.replace("UPDATE", "1"), 4),
}
MEAN = np.random.default_rng(9).uniform(120, 130, (*IMAGE[1:], IMAGE[0])).astype(np.float32)


def minibatches(cases=CASES, shifted=True):
    random = np.random.default_rng(0)
    for n in cases:
        values = random.integers(120, 132, (n, *IMAGE[1:], IMAGE[0]), np.uint8)
        shifts = random.standard_normal((n, IMAGE[0])).astype(np.float32) if shifted else None
        yield Pixels(values, shifts), random.integers(0, 4, (n, 1)).astype(np.float32)


def trained(name, devices, mean, *, as_pixels, shifted=True, cases=CASES, dtype=np.float32, **options):
    """The net after a step with each minibatch, and the costs of all steps and tests."""
    graph = graph_of(*NETS[name][:2], image=IMAGE)
    given = mean if as_pixels else None
    net, costs = ConvNet(graph, devices, mini=MINI, seed=3, dtype=dtype, mean=given, **options), []
    for pixels, labels in minibatches(cases, shifted):
        data = [pixels if as_pixels else pixels.normalized(mean), labels]
        costs += [net.train_minibatch(data), net.test_minibatch(data)]
    return net, costs


def assert_the_same_bits(found, expected):
    (net, costs), (other, expected_costs) = found, expected
    assert costs == expected_costs
    assert np.isfinite([value for cost in costs for value in cost["logprob"].values()]).all()
    state, wanted = net.state(), other.state()
    assert state.keys() == wanted.keys()
    for name, values in wanted.items():
        assert np.any(values), f"{name}: nothing to compare"
        assert state[name].tobytes() == values.tobytes(), name


@pytest.mark.parametrize("shifted", [True, False])
@pytest.mark.parametrize("mean", [MEAN, MEAN.astype(np.float64), np.float32(125.3), MEAN[0, 0]],
                         ids=["image", "float64", "scalar", "colour"])  # fmt: skip
def test_a_net_on_the_cpu(mean, shifted):
    """With minibatches of all sizes, and tests between the steps."""
    mean = np.asarray(mean)
    pixels, ready = (trained("rows", on_cpu(1), mean, as_pixels=kind, shifted=shifted) for kind in (True, False))
    assert_the_same_bits(pixels, ready)


@pytest.mark.parametrize("name", [name for name, (*_, devices) in NETS.items() if devices > 1])
def test_nets_on_several_devices(name):
    """Replicas with short and empty parts; towers that read the images on both; passes over parts of them."""
    number = NETS[name][2]
    assert_the_same_bits(*(trained(name, on_cpu(number), MEAN, as_pixels=kind) for kind in (True, False)))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_net_on_a_gpu(precision, cuda_device):
    device = cuda_device(precision)
    assert_the_same_bits(*(trained("rows", device, MEAN, as_pixels=kind, cases=(8, 8, 5)) for kind in (True, False)))


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "precision"), [("replicas", "bf16"), ("towers", "fp32"), ("passes", "fp32")])
def test_nets_on_several_gpus(name, precision, cuda_device):
    """One GPU may stand for all."""
    cuda_device(precision)
    number = NETS[name][2]
    devices = open_devices(DeviceOptions("cuda", precision=precision, tune=False, gpus=(0,) * number), number)
    assert_the_same_bits(*(trained(name, devices, MEAN, as_pixels=kind, cases=(8, 7, 3)) for kind in (True, False)))


@pytest.mark.gpu
def test_minibatches_ahead_of_time(cuda_device):
    """A minibatch may change once it was begun, and has no effect on the one before."""
    expected, expected_costs = trained("rows", cuda_device("fp32"), MEAN, as_pixels=True, cases=(8, 8, 5, 8))
    net, costs = ConvNet(expected.graph, cuda_device("fp32"), mini=MINI, seed=3, mean=MEAN), []
    values, shifts = np.empty((MINI, *IMAGE[1:], IMAGE[0]), np.uint8), np.empty((MINI, IMAGE[0]), np.float32)
    for pixels, labels in minibatches((8, 8, 5, 8)):
        n = len(pixels)
        values[:n], shifts[:n] = pixels.values, pixels.shifts
        data = [Pixels(values, shifts)[:n], labels]
        waiting = net.begin_training(data), net.begin_testing(data)
        values[:], shifts[:] = 255, np.nan
        costs.append(waiting)
    assert_the_same_bits((net, [wait() for waiting in costs for wait in waiting]), (expected, expected_costs))


def test_in_float64():
    """The sum is that of float64 too, not of float32 converted."""
    net, costs = trained("replicas", on_cpu(2), MEAN, as_pixels=True, dtype=np.float64)
    other, expected = ConvNet(net.graph, on_cpu(2), mini=MINI, seed=3, dtype=np.float64), []
    for pixels, labels in minibatches():
        ready = pixels.values - MEAN.astype(np.float64) + pixels.shifts[:, None, None]
        assert (ready != pixels.normalized(MEAN)).any()
        expected += [other.train_minibatch([ready, labels]), other.test_minibatch([ready, labels])]
    assert_the_same_bits((net, costs), (other, expected))


def test_gradients_of_the_images():
    """They are those of the images that the host made ready; rows get a gradient as ever."""
    nets = [trained("rows", on_cpu(1), MEAN, as_pixels=kind, input_grads=True)[0] for kind in (True, False)]
    for name in ("data", "some", "rows"):
        found, expected = (net.input_gradient(name, CASES[-1]) for net in nets)
        assert expected.any()
        assert found.tobytes() == expected.tobytes()


def test_what_travels_and_where_it_lies(device):
    """Bytes of whole channels, a number for each case and channel; rows come ready, and so does all without a mean."""
    graph = graph_of(ROWS, ROWS_PARAMS, image=IMAGE)
    plan, plain = (ConvNet(graph, device, mini=MINI, mean=mean).bound.plan for mean in (MEAN, None))
    sizes = {
        name: [plan.types.size(tensor.memory, 1) for tensor in tensors]
        for name, portions in plan.inputs.items() for tensors in portions.values()
    }  # fmt: skip
    assert sizes == {"data": [105, 12], "some": [70, 8], "rows": [4 * 47], "labels": [4]}
    assert {name: tensor.shape for name, found in plan.means.items() for tensor in found.values()} == {
        "data": (7, 5, 3), "some": (7, 5, 2),
    }  # fmt: skip
    steps = [(step.phase, step.layer, step.operation) for step in plan.test]
    made = [("fprop", name, "pixels.normalize") for name in ("data", "some")]
    assert [step for step in steps if step[2] == "pixels.normalize"] == made, "once each, however many layers read it"
    assert steps.index(made[1]) == 2, "when it is first read"
    assert [step for step in steps if step not in made] == [(s.phase, s.layer, s.operation) for s in plain.test]
    assert not plain.means
    assert all(memory.content is not Content.BYTES for memory in plain.memories)
    assert {memory.name: memory.pinned for memory in plan.memories}["data"] is False, "its room is used again"
    described = net_memory(graph, MINI, device, pixels=True)
    assert (described.inputs, described.activations) == (0, plan.arenas[0])


def test_images_that_are_labels_come_ready(device):
    """Labels are never rounded; the layer that makes activations of bytes would."""
    text = "[data]\ntype=data\ndataIdx=0\n[other]\ntype=data\ndataIdx=0\n[p]\ntype=softmax\ninputs=other\n"
    graph = graph_of(f"{text}[logprob]\ntype=cost.logreg\ninputs=data,p\n", "[logprob]\n", image=(1, 1, 1))
    net = ConvNet(graph, device, mini=2, mean=np.float32(0.5))
    assert set(net.bound.plan.means) == {"other"}
    pixels = Pixels(np.zeros((2, 1, 1, 1), np.uint8), np.full((2, 1), 0.5, np.float32))
    assert net.test_minibatch([pixels])["logprob"]["cost"] == 0


@pytest.mark.parametrize("shifted", [True, False])
def test_nothing_is_allocated_after_the_first_minibatch(shifted):
    """For whole channels: the host makes an array of those that it makes ready."""
    some, full = "[some]\ntype=data\ndataIdx=0\nstart=35\n", "type=fc\ninputs=data,some\noutputs=4\ninitW=0.1,0.1\n"
    graph = graph_of(f"{DATA}{some}[fc2]\n{full}{COST}", f"[fc2]\n{RATES}", image=IMAGE)
    device, cases = CountingDevice(threads=2), 6000
    net = ConvNet(graph, device, mini=cases, mean=MEAN)
    data = [list(minibatch) for minibatch in minibatches((cases, cases - 700), shifted)]

    def work():
        for minibatch in data:
            net.train_minibatch(minibatch)
            net.test_minibatch(minibatch)

    work()
    assert device.allocations(work) == 0
    (costs,) = (tensor.memory.numbers for tensor in net.bound.plan.costs["logprob"].values())
    assert peak(work) < MOST + 4 * cases * costs < 70 * cases, "less than the bytes of some"


def test_mistakes_of_a_program(device):
    graph = graph_of(ROWS, ROWS_PARAMS, image=IMAGE)
    pixels, labels = next(minibatches())
    ready = [pixels.normalized(MEAN), labels]
    for run in ("begin_training", "begin_testing", "train_minibatch", "compute_gradients", "compute_costs"):
        with pytest.raises(ValueError, match=r"expected images that are ready, .* without a mean; found Pixels"):
            getattr(ConvNet(graph, device, mini=MINI), run)([pixels, labels])
        with pytest.raises(ValueError, match=r"expected images as Pixels, .* its mean; found an array"):
            getattr(ConvNet(graph, device, mini=MINI, mean=MEAN), run)(ready)
    with pytest.raises(ValueError, match="shape"):
        ConvNet(graph, device, mini=MINI, mean=MEAN[1:])
