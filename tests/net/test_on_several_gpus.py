"""Nets on several GPUs, some of which may be one: they give what one GPU gives."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends import DeviceOptions, open_devices
from convnet.net import ConvNet
from convnet.shape import Shape

from .nets import graph_of
from .several import (
    MIXED,
    MIXED_PARAMS,
    PARAMS,
    REPLICAS,
    TOWERS,
    TOWERS_PARAMS,
    assert_equal_nets,
    on_cpu,
    replicas_of,
    trained,
)  # fmt: skip

pytestmark = pytest.mark.gpu


@pytest.fixture
def on_gpus(cuda_device):
    """A function that opens so many GPUs; where there are fewer, some of them several times."""
    cuda_device("fp32")
    import pycuda.driver as cuda

    def opened(number, precision, there=None):
        gpus = tuple(gpu % (there or cuda.Device.count()) for gpu in range(number))
        return open_devices(DeviceOptions("cuda", precision=precision, tune=False, gpus=gpus), number)

    return opened


# Sums over cases are added up in another order; in bf16 that may change how a weight is rounded for the next step.
ON_GPUS = [("fp32", 2e-6), ("tf32", 2e-5), ("bf16", 2e-2)]


@pytest.mark.parametrize(("precision", "tolerance"), ON_GPUS)
@pytest.mark.parametrize(("number", "there"), [(2, None), (2, 1), (3, None)])
def test_replicas_on_gpus(on_gpus, number, there, precision, tolerance):
    """Also with two replicas on one GPU."""
    params, gpus = PARAMS.replace("PERIOD", "2"), ",".join(map(str, range(number)))
    one = trained(REPLICAS.replace("GPUS", "0"), params, on_gpus(1, precision), np.float32)
    many = trained(REPLICAS.replace("GPUS", gpus), params, on_gpus(number, precision, there), np.float32)
    assert_equal_nets(many, one, tolerance)
    for name, arrays in replicas_of(many[0]):
        assert all(array.tobytes() == arrays[0].tobytes() for array in arrays), name


@pytest.mark.parametrize(("precision", "tolerance"), ON_GPUS)
def test_towers_on_gpus(on_gpus, precision, tolerance):
    """Gradients from another device are added up there first, which in bf16 rounds them otherwise."""
    both = trained(TOWERS, TOWERS_PARAMS, on_gpus(2, precision), np.float32)
    alone = trained(TOWERS.replace("gpu=1", "gpu=0"), TOWERS_PARAMS, on_gpus(1, precision), np.float32)
    assert both[1][:3] == alone[1][:3]
    if precision != "bf16":
        assert_equal_nets(both, alone, tolerance)


def test_passes_on_gpus(on_gpus):
    """The mixture of replicas and towers gives on GPUs what it gives on the CPU."""
    graph = graph_of(MIXED, MIXED_PARAMS.replace("UPDATE", "2"), shapes=[Shape(10), Shape(1)])
    nets = [ConvNet(graph, devices, mini=16, seed=5) for devices in (on_cpu(4), on_gpus(4, "fp32"))]
    random = np.random.default_rng(1)
    for cases in (16, 13, 5, 16):
        data = [random.standard_normal((cases, 10)), random.integers(0, 4, (cases, 1))]
        expected, found = (net.train_minibatch([one.astype(np.float32) for one in data]) for net in nets)
        assert found["logprob"]["cost"] == pytest.approx(expected["logprob"]["cost"], rel=1e-5)
    for name, values in nets[0].state().items():
        np.testing.assert_allclose(nets[1].state()[name], values, rtol=1e-4, atol=1e-5)
