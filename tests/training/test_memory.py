"""What nets are said to need is what they take, and the minibatch that is said to fit does."""

import gc
import os
import re
import subprocess
import sys
import weakref

import numpy as np
import pytest

from convnet.backends import DeviceOptions
from convnet.backends.cpu.device import CpuDevice
from convnet.errors import ConvnetError, DeviceMemoryError
from convnet.net import ConvNet
from convnet.plan.memory import peak
from convnet.plan.step import FPROP, Step
from convnet.tensor import Content, Memory, NumberTypes, Tensor
from convnet.training import memory, runs
from convnet.training.memory import check_memory, describe_memory, largest_mini, need_told, net_memory, too_large
from convnet.training.runs import open_net
from convnet.training.session import open_session, read_files
from tests.conftest import ROOT
from tests.net.nets import graph_of

from .small import LAYERS, PARAMS, Place

FLOAT32, FLOAT16 = np.dtype(np.float32), np.dtype(np.float16)
INPUTS = 4 * (3 * 8 * 8 + 1)  # bytes of a case: an image and a label, in float32


class SmallDevice(CpuDevice):
    """The CPU with so many bytes of memory that nets are given; `told`: what it says is free, if it lies."""

    ahead = 1

    def __init__(self, size, told=None, activations=FLOAT32):
        super().__init__(threads=1)
        self.size, self.told, self.activations, self.given = size, told, activations, []

    def types(self, weights):
        return NumberTypes(weights, self.activations)

    def free_memory(self):
        return self.told if self.told is not None else self.size - self.taken

    @property
    def taken(self):
        """Bytes of the blocks that are still in use."""
        return sum(size for block, size in self.given if block() is not None)

    def allocate(self, size):
        if size > self.size - self.taken:
            raise DeviceMemoryError(str(self), size, self.size - self.taken)
        block = super().allocate(size)
        self.given.append((weakref.ref(block), size))
        return block


@pytest.fixture
def graph():
    """The small net's graph."""
    return graph_of(LAYERS, PARAMS, image=(3, 8, 8))


@pytest.fixture
def open_as(monkeypatch):
    """A function that makes every device opened be this one."""
    return lambda device: monkeypatch.setattr(runs, "open_devices", lambda options, number: [device])


@pytest.mark.parametrize("activations", [FLOAT32, FLOAT16])
@pytest.mark.parametrize("mini", [1, 5, 64])
def test_a_net_takes_what_was_foretold(graph, mini, activations):
    device = SmallDevice(10**9, activations=activations)
    foretold = net_memory(graph, mini, device)
    net = ConvNet(graph, device, mini=mini, initial=False)
    assert foretold.weights + foretold.activations == device.taken
    images = 4 * 3 * 8 * 8 if activations == FLOAT32 else 2 * 3 * 8 * 8
    assert foretold.inputs == 2 * mini * (images + 4), "two minibatches are on their way; labels are exact"
    assert foretold.needed == foretold.held + foretold.workspace
    assert 0 < foretold.workspace <= foretold.held / 8
    del net
    assert device.taken == 0


@pytest.mark.parametrize("activations", [FLOAT32, FLOAT16])
@pytest.mark.parametrize("mini", [1, 5, 64])
def test_images_that_come_as_pixels(graph, mini, activations):
    """A byte for each value is on its way, and lies on the device with the mean; shifts and labels are exact."""
    device, mean = SmallDevice(10**9, activations=activations), np.zeros(())
    foretold = net_memory(graph, mini, device, pixels=True)
    net = ConvNet(graph, device, mini=mini, initial=False, mean=mean)
    assert foretold.weights + foretold.activations == device.taken
    assert foretold.inputs == 2 * mini * (3 * 8 * 8 + 4 * 3 + 4)
    if mini == 64:
        assert foretold.held < net_memory(graph, mini, device).held
    del net


def test_a_session_whose_images_come_as_pixels(tmp_path, open_as):
    """The net gets the provider's mean, and is foretold to need what such a net needs."""
    place, device = Place(tmp_path), SmallDevice(0)
    session = open_session(read_files(str(place.layers), str(place.params)), {"data": str(place.data)})
    session.provider.subtracted = np.full((8, 8, 3), 7.0, np.float32)
    open_as(device)
    ready, pixels = (net_memory(session.graph, 500, device, pixels=pixels) for pixels in (False, True))
    session.options["mini"] = 500
    device.size = pixels.held - 1
    with pytest.raises(ConvnetError, match=re.escape(f"needs {pixels}; ")):
        open_net(session, DeviceOptions("cpu"))
    device.size += 1
    assert device.size < ready.held
    net = open_net(session, DeviceOptions("cpu"))
    assert net.mean is session.provider.subtracted
    asked = DeviceMemoryError("cpu:0", 10**6, 0)
    needs = net_memory(session.graph, 500, device, workspace=10**6, pixels=True)
    with pytest.raises(ConvnetError, match=re.escape(f"needs {needs}; ")), need_told(net):
        raise asked


def test_each_device_takes_what_was_foretold_for_it():
    """Two replicas of the first layers, the last one elsewhere; a device between them is not used."""
    layers = LAYERS.replace("[fc]\n", "[fc]\ngpu=3\n").replace("[scale]\n", "[scale]\ngpu=0,1\n")
    graph = graph_of(layers, PARAMS, image=(3, 8, 8))
    devices = [SmallDevice(10**9) for _ in range(4)]
    foretold = [net_memory(graph, 9, device, numbers=[number]) for number, device in enumerate(devices)]
    net = ConvNet(graph, devices, mini=9, initial=False)
    taken = [device.taken for device in devices]
    assert taken == [memory.weights + memory.activations for memory in foretold]
    assert taken[2] == 0 < min(taken[0], taken[1], taken[3])
    del net


def test_a_full_device_of_several_is_told():
    layers = LAYERS.replace("[fc]\n", "[fc]\ngpu=1\n")
    graph = graph_of(layers, PARAMS, image=(3, 8, 8))
    devices = [SmallDevice(10**9), SmallDevice(0)]
    devices[1].index = 1
    devices[1].size = net_memory(graph, 5, devices[1], numbers=[1]).needed
    with pytest.raises(ConvnetError, match=r"^cpu:1: with --mini 300 .*the largest --mini that fits is 5$"):
        check_memory(graph, 300, devices)


def test_a_device_that_stands_for_two_needs_the_memory_of_both():
    layers = LAYERS.replace("[fc]\n", "[fc]\ngpu=1\n")
    graph = graph_of(layers, PARAMS, image=(3, 8, 8))
    one = SmallDevice(0)
    parts = [net_memory(graph, 300, one, numbers=[number]).held for number in (0, 1)]
    one.size = sum(parts) - 1
    with pytest.raises(ConvnetError, match=r"^cpu:0: with --mini 300 the net needs .* are free for it; the largest"):
        check_memory(graph, 300, [one, one])
    one.size += 1
    check_memory(graph, 300, [one, one])
    (described,) = describe_memory(graph, 300, [one, one])
    assert described["needed"] == net_memory(graph, 300, one, numbers=[0, 1]).needed >= sum(parts)


def test_devices_that_wait_hold_no_second_minibatch(graph):
    assert net_memory(graph, 8, CpuDevice(threads=1)).inputs == 0


@pytest.mark.parametrize("below", [None, 1, 2, 13, 14, 200])
def test_the_largest_minibatch_is_that_of_a_search_through_all(graph, below):
    device = SmallDevice(0)
    needed = {mini: net_memory(graph, mini, device).needed for mini in range(1, 40)}
    assert sorted(needed.values()) == list(needed.values())
    for room in (needed[1] - 1, needed[1], needed[2], needed[13] - 1, needed[13], needed[14], needed[38]):
        fitting = [mini for mini, size in needed.items() if size <= room and (below is None or mini < below)]
        assert largest_mini(graph, device, room, below=below) == max(fitting, default=0)


def a_step(layer, phase, *memories):
    return Step(phase, layer, 0, "op", tuple(Tensor(memory, (memory.numbers,)) for memory in memories), {})


def test_the_need_peaks_where_most_bytes_are_in_use():
    """b, c and d are largest together, though none of them is the largest block, nor is the step's own sum largest."""
    a, b, c, d, e = (Memory(name, 0, numbers) for name, numbers in zip("abcde", (900, 600, 500, 64, 1000), strict=True))
    steps = [a_step("1", FPROP, a), a_step("2", FPROP, b), a_step("3", FPROP, b, c), a_step("4", FPROP, d),
             a_step("5", FPROP, b, c), a_step("6", FPROP, e)]  # fmt: skip
    assert peak([a, b, c, d, e], steps, 4, NumberTypes(FLOAT32, FLOAT32)) is steps[3]
    exact = Memory("exact", 0, 700, content=Content.EXACT)
    steps = [a_step("1", FPROP, e), a_step("2", FPROP, exact)]
    assert peak([e, exact], steps, 4, NumberTypes(FLOAT32, FLOAT16)) is steps[1]


def test_a_net_that_does_not_fit_is_refused_before_anything_is_allocated(tmp_path, open_as, graph):
    place, device = Place(tmp_path), SmallDevice(0)
    device.size = net_memory(graph, 8, device).needed
    open_as(device)
    with pytest.raises(ConvnetError) as caught:
        place.start(mini=300)
    need = net_memory(graph, 300, device)
    parts = "weights [0-9.]+, activations [0-9.]+, inputs 0.5, workspace [0-9.]+"
    caught.match(
        rf"^cpu:0: with --mini 300 the net needs {need.needed / 1e6:.1f} MB \({parts}; most in bprop of layer "
        rf"'pool1'\); {device.size / 1e6:.1f} MB are free for it; the largest --mini that fits is 8$"
    )
    assert not device.given
    assert not place.runs.exists()
    trainer = place.start(mini=8)
    assert trainer.net.mini == 8


def test_a_net_that_may_fit_is_tried(tmp_path, open_as, graph):
    """What operations will ask for is a guess: nobody is kept from trying because of it."""
    held = net_memory(graph, 8, SmallDevice(0)).held
    open_as(SmallDevice(held - 1))
    with pytest.raises(ConvnetError, match=r"the largest --mini that fits is \d$"):
        Place(tmp_path).start()
    open_as(SmallDevice(held))
    assert Place(tmp_path).start().net.mini == 8


def test_a_net_of_which_not_one_case_fits(tmp_path, open_as):
    open_as(SmallDevice(1000))
    with pytest.raises(ConvnetError, match=r"; not even --mini 1 fits$"):
        Place(tmp_path).start()


def test_what_a_net_has_taken_is_given_back_if_the_rest_does_not_fit(tmp_path, open_as, graph):
    """The device has less than it says, as when another process takes memory meanwhile."""
    device = SmallDevice(0, told=10**9)
    device.size = net_memory(graph, 8, device).weights + 1000
    open_as(device)
    gc.collect()
    gc.disable()  # it must not take a search for cycles
    try:
        with pytest.raises(ConvnetError) as caught:
            Place(tmp_path).start()
        assert len(device.given) > 1
        assert device.taken == 0, "the error that was raised keeps the net"
        caught.match(r"with --mini 8 the net needs .*the largest --mini that fits is 7$")
    finally:
        gc.enable()


def test_other_errors_stay_as_they_are(tmp_path, open_as, monkeypatch):
    open_as(SmallDevice(10**9))

    def fail(*_arguments, **_options):
        raise ConvnetError("another mistake")

    monkeypatch.setattr(runs, "ConvNet", fail)
    with pytest.raises(ConvnetError, match=r"^another mistake$"):
        Place(tmp_path).start()


def test_what_operations_asked_for_counts(graph):
    """A net is there, and an operation gets no workspace."""
    device, asked = SmallDevice(0), 10**6
    fitting = net_memory(graph, 5, device, workspace=asked)
    device.size = fitting.needed - net_memory(graph, 20, device).held
    message = str(too_large(graph, 20, [device], "cpu:0", workspace=asked))
    assert ", workspace 1.0; most in bprop of layer 'pool1'); 1.0 MB are free for it; " in message
    assert message.endswith("the largest --mini that fits is 5")


def test_description(graph):
    device = SmallDevice(0)
    device.size = net_memory(graph, 13, device).needed
    assert describe_memory(graph, 20, [device]) == [{
        "device": "cpu:0", "mini": 20, "free": device.size, "needed": net_memory(graph, 20, device).needed,
        "largest_mini": 13,
    }]  # fmt: skip
    found = describe_memory(graph, 20, [CpuDevice(threads=1)])[0]
    assert (found["free"], found["largest_mini"]) == (None, None)
    assert found["needed"] > 0


def test_the_workspace_is_bounded(graph, monkeypatch):
    monkeypatch.setattr(memory, "WORKSPACE", 1234)
    assert net_memory(graph, 500, SmallDevice(0)).workspace == 1234


ON_GPU = """
import sys
from pathlib import Path
from tests import virtual_gpu
try:
    virtual_gpu.start()
except virtual_gpu.Unavailable as error:
    sys.exit(f"unavailable: {error}")
from convnet.backends import DeviceOptions, open_device
from convnet.errors import ConvnetError, DeviceMemoryError
from convnet.training import runs
from tests.training.small import Place
place, options = Place(Path(sys.argv[1])), DeviceOptions("cuda")
def start(mini):
    given = {"data": str(place.data), "mini": mini}
    return runs.new_run(str(place.layers), str(place.params), given, place.runs, options)
device = open_device(options)
runs.open_devices = lambda options, number: [device]
free = device.free_memory()
kept = []
try:
    start(100000)
except ConvnetError as error:
    kept.append(error)
print(kept[0])
print(device.free_memory() == free)
runs.check_memory = lambda *arguments, **keywords: None
try:
    start(100000)
except ConvnetError as error:
    kept.append(error)
print(kept[1])
print(device.free_memory() == free)
trainer = start(int(str(kept[0]).split()[-1]))
net_memory = runs.too_large.__globals__["net_memory"](trainer.net.graph, trainer.net.mini, device)
print(free - device.free_memory() == net_memory.held)
"""


def test_on_a_gpu(tmp_path):
    """On a virtual one with 10 MB: the message, that all memory is given back, and that what is said to fit does."""
    done = subprocess.run(
        [sys.executable, "-c", ON_GPU, tmp_path], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "VIRTUAL_GPU_DEVICES": "1", "VIRTUAL_GPU_MEMORY": str(10**7)},
    )  # fmt: skip
    if done.stderr.startswith("unavailable: "):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    before, given_back, caught, given_back_too, taken = done.stdout.splitlines()
    assert before.startswith("cuda:0: with --mini 100000 the net needs ")
    assert before == caught
    assert (given_back, given_back_too, taken) == ("True",) * 3
