"""Locally connected filters against loops in float64, over the geometries that are hard for convolution."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.local import LocalGeometry, cpu
from convnet.ops.neuron import NeuronFunction
from convnet.shape import Maps

from . import reference_conv

# maps (channels, y, x), filters, filter size, padding, stride, groups, modules y, modules x.
GEOMETRIES = {
    "plain": LocalGeometry(Maps(3, 7, 6), 5, 3, 1, 1, 1, 7, 6),
    "groups and overhang": LocalGeometry(Maps(6, 8, 5), 10, 3, 2, 2, 2, 6, 4),
    "gaps": LocalGeometry(Maps(2, 8, 9), 3, 2, 0, 3, 1, 3, 4),
    "windows outside the image": LocalGeometry(Maps(2, 3, 4), 3, 2, 3, 1, 1, 8, 9),
    "fewer modules": LocalGeometry(Maps(3, 9, 9), 4, 3, 0, 2, 1, 2, 3),
    "several products": LocalGeometry(Maps(42, 4, 3), 130, 5, 2, 1, 2, 4, 3),
}
CASES = [1, 19, 71]  # 71: two blocks of windows, and several cases in one item of bprop_acts
TANH = NeuronFunction("tanh", 1.3, 0.4)


@pytest.fixture(params=GEOMETRIES)
def geometry(request: pytest.FixtureRequest) -> LocalGeometry:
    return GEOMETRIES[request.param]


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def dev() -> CpuDevice:
    return CpuDevice(threads=2)


def arrays(g: LocalGeometry, dtype: str = "float64", n: int = 19) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, w, y of normal numbers."""
    rng = np.random.default_rng(n)
    shapes = ((n, g.maps.y, g.maps.x, g.maps.channels), g.weights, (n, g.modules_y, g.modules_x, g.filters))
    x, w, y = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    return x, w, y


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    tolerance = 1e-12 if actual.dtype == np.float64 else 3e-6
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("n", CASES)
def test_fprop(dev: CpuDevice, geometry: LocalGeometry, dtype: str, n: int) -> None:
    x, w, y = arrays(geometry, dtype, n)
    y[:] = np.nan
    cpu.fprop(dev, x, w, None, y, geometry, accumulate=False, neuron=None)()
    close(y, reference_conv.fprop(x, w, geometry, own_filters=True))


@pytest.mark.parametrize("accumulate", [False, True])
def test_fprop_adds_then_bias_then_neuron(dev: CpuDevice, geometry: LocalGeometry, accumulate: bool) -> None:
    x, w, y = arrays(geometry)
    bias = np.random.default_rng(5).normal(size=y[0].shape)
    expected = reference_conv.fprop(x, w, geometry, own_filters=True) + bias + (y if accumulate else 0)
    cpu.fprop(dev, x, w, bias.reshape(-1), y, geometry, accumulate=accumulate, neuron=TANH)()
    close(y, 1.3 * np.tanh(0.4 * expected))


@pytest.mark.parametrize("n", CASES)
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop_acts(dev: CpuDevice, geometry: LocalGeometry, dtype: str, accumulate: bool, n: int) -> None:
    dx, w, dy = arrays(geometry, dtype, n)
    expected = reference_conv.bprop_acts(dy, w, geometry, own_filters=True) + (dx if accumulate else 0)
    if not accumulate:
        dx[:] = np.nan
    cpu.bprop_acts(dev, dy, w, dx, geometry, accumulate=accumulate)()
    close(dx, expected)


@pytest.mark.parametrize("n", CASES)
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop_weights(dev: CpuDevice, geometry: LocalGeometry, dtype: str, accumulate: bool, n: int) -> None:
    x, dw, dy = arrays(geometry, dtype, n)
    expected = reference_conv.bprop_weights(x, dy, geometry, own_filters=True) + (dw if accumulate else 0)
    if not accumulate:
        dw[:] = np.nan
    cpu.bprop_weights(dev, x, dy, dw, geometry, accumulate=accumulate)()
    close(dw, expected)


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("name", ["groups and overhang", "several products"])
def test_threads_do_not_change_a_bit(name: str, threads: int) -> None:
    g = GEOMETRIES[name]
    x, w, dy = arrays(g, "float32", 71)
    results = []
    for dev in (CpuDevice(threads=1), CpuDevice(threads=threads)):
        y, dx, dw = np.empty_like(dy), np.empty_like(x), np.empty_like(w)
        cpu.fprop(dev, x, w, dy[0].reshape(-1), y, g, accumulate=False, neuron=NeuronFunction("logistic"))()
        cpu.bprop_acts(dev, dy, w, dx, g, accumulate=False)()
        cpu.bprop_weights(dev, x, dy, dw, g, accumulate=False)()
        results.append((y, dx, dw))
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(many, one)


def test_weights_change_their_order_and_back(geometry: LocalGeometry) -> None:
    w = arrays(geometry)[1]
    memory = cpu.weights_to_memory(w, geometry)
    size, depth = geometry.filter_size, geometry.filter_channels
    for module, c, i, j in np.ndindex(geometry.modules, depth, size, size):
        row = memory[((module * size + i) * size + j) * depth + c]
        np.testing.assert_array_equal(row, w[((module * depth + c) * size + i) * size + j])
    np.testing.assert_array_equal(cpu.weights_from_memory(memory, geometry), w)
    assert memory.flags.c_contiguous


def test_shape_of_the_weights() -> None:
    assert GEOMETRIES["groups and overhang"].weights == (6 * 4 * 27, 10)


def test_shapes_must_fit(dev: CpuDevice) -> None:
    g = GEOMETRIES["plain"]
    x, w, y = arrays(g)
    with pytest.raises(ValueError, match="LocalGeometry"):
        cpu.fprop(dev, x, w[: g.rows], None, y, g, accumulate=False, neuron=None)
    with pytest.raises(ValueError, match=r"bias of shape \(5,\)"):
        cpu.fprop(dev, x, w, np.zeros(5), y, g, accumulate=False, neuron=None)
