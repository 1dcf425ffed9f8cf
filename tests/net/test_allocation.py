"""Training allocates nothing after the first minibatch of each size: neither NumPy, nor kernels."""

import tracemalloc

import numpy as np
import pytest

from convnet.net import ConvNet
from convnet.weights.schedule import Progress
from tests.backends.counting import CountingDevice
from tests.layers.examples import EXAMPLES, example

from .nets import graph_of

IMAGE, MINI = (3, 7, 5), 512
MOST = 90_000  # bytes at any time besides the costs: Python's own objects for each launch


def peak(function):
    """The most bytes, of NumPy's and of Python's, that were in use at one time while the function ran."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [name for name, (kind, *_) in EXAMPLES.items() if kind != "neuron"])
def test_no_allocation_after_the_first_minibatch(name):
    device = CountingDevice(threads=2)
    net = ConvNet(graph_of(*example(name), image=IMAGE), device, mini=MINI)
    generator = np.random.default_rng(1)
    data = [generator.standard_normal((MINI, *IMAGE[1:], IMAGE[0])).astype(np.float32),
            generator.integers(0, 4, (MINI, 1)).astype(np.float32)]  # fmt: skip
    short = [matrix[:300] for matrix in data]

    def work():
        for number in range(2):
            net.set_progress(Progress(number / 2))
            for minibatch in (data, short):
                net.train_minibatch(minibatch)
                net.test_minibatch(minibatch)

    work()
    assert device.allocations(work) == 0
    costs = sum(tensor.memory.numbers for found in net.bound.plan.costs.values() for tensor in found.values())
    in_order = data[0].nbytes if name == "data of rows" else 0  # rows of images are brought into cuda-convnet's order
    assert peak(work) < MOST + 4 * MINI * costs + in_order
    base = next(memory for memory in net.bound.plan.memories if memory.name == "base")
    assert base.numbers * MINI * 4 > 4 * MOST, "too small a net: one layer's activations would not be seen"


def test_this_measures_arrays():
    assert peak(lambda: np.ones(MOST)) > 8 * MOST
