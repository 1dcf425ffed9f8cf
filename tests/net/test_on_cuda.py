"""Nets on a CUDA device beside the same nets on the CPU, whose gradients are checked against float64 elsewhere."""

import gc
from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import pytest

from convnet.backends import PRECISIONS, DeviceOptions, open_devices
from convnet.backends.cuda import toolkit
from convnet.errors import ConvnetError
from convnet.net import ConvNet
from convnet.training.checkpoint import Checkpoint, newest
from convnet.training.runs import continued_run
from convnet.training.testing import test_checkpoint as run_test
from tests.layers.examples import EXAMPLES, example
from tests.nets.nets import NAMES, SCALES, scaled
from tests.training.small import MINIBATCHES, Place, files_of, finish, stop_after
from tests.virtual_gpu import controls

from .nets import graph_of
from .rounding import round_as

pytestmark = pytest.mark.gpu
# Of the size of a gradient. What rounds alike differs by the order of sums: 2e-6 in fp32, 1e-5 in the others. Besides,
# a number here and there is rounded to its other neighbour in bf16; and cuBLAS may cut off what tf32 has no room for.
ALLOWED = {"fp32": 1e-5, "tf32": 1e-2, "bf16": 2e-3}
IMAGE, MINI = (3, 7, 5), 6


def on_a_card(request):
    """Whether the tests run on a real GPU."""
    return request.config.option.markexpr == "gpu"


def a_minibatch(maps, cases, classes, seed=0):
    random = np.random.default_rng(seed)
    channels, y, x = maps
    images = random.standard_normal((cases, y, x, channels)).astype(np.float32)
    return [images, random.integers(0, classes, (cases, 1)).astype(np.float32)]


def gradients(net, data):
    """The costs and all gradients of a minibatch, those of the images too."""
    costs = net.compute_gradients(data)
    learning = [parameter for parameter in net.graph.parameters if parameter.learns]
    found = {parameter.name: net.store.get("gradients", parameter) for parameter in learning}
    return costs, {**found, "images": net.input_gradient("data", len(data[0])).astype(np.float32)}


def check(found, expected, allowed):
    """Costs, and gradients as vectors, agree to so much of their size."""
    for layer, metrics in expected[0].items():
        assert found[0][layer]["cost"] == pytest.approx(metrics["cost"], rel=allowed)
    for name, gradient in expected[1].items():
        assert gradient.any(), f"{name}: nothing to compare"
        assert np.linalg.norm(found[1][name] - gradient) <= allowed * np.linalg.norm(gradient), name


def assert_close(found, expected):
    """Weights and increments, after a step or two."""
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-5, atol=1e-5 * np.abs(values).max(), err_msg=key)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_gradients_of_every_layer_type(name, precision, device, cuda_device):
    graph = graph_of(*example(name), image=IMAGE)
    cpu, cuda = (
        ConvNet(graph, where, mini=MINI, seed=3, input_grads=True) for where in (device, cuda_device(precision))
    )
    round_as(cpu, precision)
    for cases in (MINI, MINI - 2):
        data = a_minibatch(IMAGE, cases, classes=4, seed=cases)
        check(gradients(cuda, data), gradients(cpu, data), ALLOWED[precision])


def several(device, graph):
    """The device; for a net on several as many of its kind, all of them the first GPU."""
    options = DeviceOptions("cpu", 2) if device.backend == "cpu" else DeviceOptions("cuda", tune=False, gpus=(0, 0))
    return device if graph.devices == 1 else open_devices(options, graph.devices)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_every_net(name, device, cuda_device):
    maps, graph = SCALES[name][1], scaled(name)
    data = a_minibatch((maps.channels, maps.y, maps.x), 4, classes=10)
    nets = [ConvNet(graph, several(where, graph), mini=4, seed=3) for where in (device, cuda_device("fp32"))]
    for net in nets:
        net.train_minibatch(data)
    expected, found = (net.state() for net in nets)
    assert_close(found, expected)


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


def trained(device):
    """The bits of a net with dropout, cmrnorm and groups after three minibatches, and their costs."""
    maps, net = SCALES["alexnet"][1], ConvNet(scaled("alexnet"), device, mini=4, seed=3)
    data = [a_minibatch((maps.channels, maps.y, maps.x), 4, classes=10, seed=step) for step in range(3)]
    costs = [net.train_minibatch(minibatch) for minibatch in data]
    return costs, {key: values.tobytes() for key, values in net.state().items()}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_same_seed_gives_the_same_bits(precision, cuda_device, orders):
    """In whatever order threads and blocks take turns."""
    device = cuda_device(precision)
    expected = trained(device)
    for order in (nullcontext(), *orders):
        with order:
            assert trained(device) == expected


@pytest.fixture
def collected_here():
    """Leaves it to this thread to collect nets and devices: PyCUDA cannot free what a trainer's thread comes upon."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.mark.usefixtures("collected_here")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_run_that_was_stopped_ends_with_the_same_bytes(precision, tmp_path, cuda_device):
    cuda_device(precision)
    place, where = Place(tmp_path), DeviceOptions("cuda", precision=precision, tune=False)
    whole = place.uninterrupted(device=where)
    stopped = place.start(device=where)
    stop_after(stopped, 7)
    assert 0 < Checkpoint.load(stopped.run).state.minibatches_done < MINIBATCHES - 1
    finish(continued_run(stopped.run, None, {}, where))
    assert files_of(newest(stopped.run)) == files_of(newest(whole.run))


@pytest.fixture
def tuned(cuda_device, tmp_path, monkeypatch):
    """A device that times what there is to choose from, and knows nothing yet."""
    from convnet.backends.cuda import cache

    device = cuda_device("fp32")
    monkeypatch.setattr(device, "tune", True)
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    monkeypatch.setattr("convnet.backends.cuda.choice.CHOICES.known", {})
    return device


@pytest.fixture
def launches(request):
    """A function that counts the kernels that have run; a card does not tell, and it says 0."""
    return (lambda: 0) if on_a_card(request) else controls.launches


def two_steps(device, launches):
    """A small net after two minibatches, and how many kernels ran in each."""
    maps, net = SCALES["cifar-quick"][1], ConvNet(scaled("cifar-quick"), device, mini=4, seed=3)
    counts = [launches()]
    for step in range(2):
        net.train_minibatch(a_minibatch((maps.channels, maps.y, maps.x), 4, classes=10, seed=step))
        counts.append(launches())
    return net.state(), [after - before for before, after in pairwise(counts)]


def test_a_net_on_a_device_that_chooses_by_timing(tuned, device, launches, tmp_path, monkeypatch, request):
    def choices():
        return {file.name: file.read_text() for file in tmp_path.glob("choice-*.json")}

    found, (timing, step) = two_steps(tuned, launches)
    assert_close(found, two_steps(device, launches)[0])
    assert timing > 5 * step or on_a_card(request), "nothing was timed"
    kept = choices()
    assert len(kept) > 5
    monkeypatch.setattr("convnet.backends.cuda.choice.CHOICES.known", {})  # as in another process
    again, counts = two_steps(tuned, launches)
    assert counts == [step, step], "something was timed again"
    assert choices() == kept
    assert all(np.array_equal(again[key], values) for key, values in found.items())


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


@pytest.mark.usefixtures("collected_here")
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


@pytest.mark.parametrize("precision", PRECISIONS)
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
        net.devices[0].allocate(1)


def test_a_net_that_is_gone_leaves_nothing_on_the_device(cuda_device, request):
    if on_a_card(request):
        pytest.skip("only the virtual GPU tells what is allocated on it")
    device = cuda_device("fp32")

    def work():
        net = ConvNet(scaled("cifar-local"), device, mini=4, seed=3)
        net.train_minibatch(a_minibatch((3, 14, 14), 4, classes=10))

    work()  # kernels, cuBLAS and the workspace stay with the device
    gc.collect()
    with controls.no_leaks():
        work()
        gc.collect()


def test_without_a_compiler_nothing_is_left_behind(tmp_path, cuda_device, monkeypatch):
    cuda_device("fp32")
    place = Place(tmp_path)
    monkeypatch.setattr(toolkit, "find_nvcc", lambda: None)
    with pytest.raises(ConvnetError, match="nvcc, which was not found; install it with: pip install nvidia-cuda-nvcc"):
        place.start(device=DeviceOptions("cuda", tune=False))
    assert not place.runs.exists()
