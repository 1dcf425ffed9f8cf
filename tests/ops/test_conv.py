"""Convolution against loops in float64, over odd sizes, overhang, gaps, groups and forced numbers of modules."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from convnet.ops.conv import ConvGeometry, cpu, modules
from convnet.ops.neuron import NeuronFunction
from convnet.shape import Maps

from . import reference_conv
from .conftest import Run
from .conv_checks import Expected, arrays, check, device

# maps (channels, y, x), filters, filter size, padding, stride, groups, modules y, modules x.
GEOMETRIES = {
    "plain": ConvGeometry(Maps(3, 7, 6), 5, 3, 1, 1, 1, 7, 6),
    "groups and overhang": ConvGeometry(Maps(6, 8, 5), 10, 3, 2, 2, 2, 6, 4),
    "gaps": ConvGeometry(Maps(2, 8, 9), 3, 2, 0, 3, 1, 3, 4),
    "no padding": ConvGeometry(Maps(4, 9, 7), 6, 4, 0, 1, 1, 6, 4),
    "windows outside the image": ConvGeometry(Maps(2, 3, 4), 3, 2, 3, 1, 1, 8, 9),
    "filter larger than the image": ConvGeometry(Maps(3, 3, 2), 4, 5, 2, 1, 1, 3, 2),
    "fewer modules": ConvGeometry(Maps(3, 9, 9), 4, 3, 0, 2, 1, 2, 3),
    "more modules": ConvGeometry(Maps(3, 5, 4), 4, 3, 1, 2, 1, 6, 5),
    "one by one": ConvGeometry(Maps(7, 5, 4), 9, 1, 0, 1, 1, 5, 4),
    "depthwise": ConvGeometry(Maps(5, 6, 7), 10, 3, 1, 1, 5, 6, 7),
    "several products": ConvGeometry(Maps(42, 5, 6), 130, 5, 2, 1, 2, 5, 6),
}
TANH = NeuronFunction("tanh", 1.3, 0.4)  # steeper than 0.52 nowhere


@pytest.fixture(params=GEOMETRIES)
def geometry(request: pytest.FixtureRequest) -> ConvGeometry:
    return GEOMETRIES[request.param]


def test_numbers_worked_out_by_hand(run_products: Run) -> None:
    g = ConvGeometry(Maps(1, 2, 3), 1, 2, 1, 2, 1, 2, 2)
    x = np.array([[1.0, 2, 3], [4, 5, 6]]).reshape(1, 2, 3, 1).astype(run_products.dtype)
    w = np.array([[512.0], [64], [8], [1]]).astype(run_products.dtype)  # top left, top right, bottom left, bottom right
    y = np.empty((1, 2, 2, 1), run_products.dtype)
    run_products("conv.fprop", x, w, None, y, g, accumulate=False, neuron=None)
    assert y.reshape(2, 2).tolist() == [[1, 19], [256, 2944]]


def test_fprop(run_products: Run, geometry: ConvGeometry) -> None:
    x, w, y = arrays(geometry, run_products.dtype)
    y[:] = np.nan
    run_products("conv.fprop", x, w, None, y, geometry, accumulate=False, neuron=None)
    check(run_products, y, Expected(reference_conv.fprop, x, w, geometry, geometry.rows))


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_fprop_adds_then_bias_then_neuron(
    run_products: Run, geometry: ConvGeometry, shared: bool, accumulate: bool
) -> None:
    x, w, y = arrays(geometry, run_products.dtype)
    bias = np.random.default_rng(5).normal(size=y[0, 0, 0].shape if shared else y[0].shape).astype(run_products.weights)
    expected = Expected(reference_conv.fprop, x, w, geometry, geometry.rows)
    expected.add(bias)
    if accumulate:
        expected.add(y)
    run_products("conv.fprop", x, w, bias.reshape(-1), y, geometry, accumulate=accumulate, neuron=TANH)
    check(run_products, y, expected, lambda v: 1.3 * np.tanh(0.4 * v))


@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop_acts(run_products: Run, geometry: ConvGeometry, accumulate: bool) -> None:
    dx, w, dy = arrays(geometry, run_products.dtype)
    terms = geometry.filter_size**2 * geometry.filters // geometry.groups
    expected = Expected(reference_conv.bprop_acts, dy, w, geometry, terms)
    if accumulate:
        expected.add(dx)
    else:
        dx[:] = np.nan
    run_products("conv.bprop_acts", dy, w, dx, geometry, accumulate=accumulate)
    check(run_products, dx, expected)


@pytest.mark.parametrize("n", [1, 3, 19])
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop_weights(run_products: Run, geometry: ConvGeometry, accumulate: bool, n: int) -> None:
    x, w, dy = arrays(geometry, run_products.dtype, n)
    dw = w.astype(run_products.weights)
    expected = Expected(reference_conv.bprop_weights, x, dy, geometry, n * geometry.modules)
    if accumulate:
        expected.add(dw)
    else:
        dw[:] = np.nan
    run_products("conv.bprop_weights", x, dy, dw, geometry, accumulate=accumulate)
    check(run_products, dw, expected)


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("name", ["plain", "groups and overhang", "several products"])
def test_threads_do_not_change_a_bit(name: str, threads: int) -> None:
    g = GEOMETRIES[name]
    x, w, dy = arrays(g, "float32", 11)
    results = []
    for dev in (device(1), device(threads)):
        y, dx, dw = np.empty_like(dy), np.empty_like(x), np.empty_like(w)
        cpu.fprop(dev, x, w, dy[0].reshape(-1), y, g, accumulate=False, neuron=NeuronFunction("logistic"))()
        cpu.bprop_acts(dev, dy, w, dx, g, accumulate=False)()
        cpu.bprop_weights(dev, x, dy, dw, g, accumulate=False)()
        results.append((y, dx, dw))
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(many, one)


def test_a_launch_repeats_and_reads_its_arrays_anew() -> None:
    g = GEOMETRIES["groups and overhang"]
    x, w, dy = arrays(g)
    dev, dw = device(), np.empty_like(w)
    launch = cpu.bprop_weights(dev, x, dy, dw, g, accumulate=False)
    launch()
    x *= 2
    launch()
    np.testing.assert_allclose(dw, reference_conv.bprop_weights(x, dy, g), rtol=1e-12, atol=1e-12)


def test_weights_change_their_order_and_back(geometry: ConvGeometry) -> None:
    w = arrays(geometry)[1]
    memory = cpu.weights_to_memory(w, geometry)
    size = geometry.filter_size
    for c, i, j in np.ndindex(geometry.filter_channels, size, size):
        row = memory[(i * size + j) * geometry.filter_channels + c]
        np.testing.assert_array_equal(row, w[(c * size + i) * size + j])
    np.testing.assert_array_equal(cpu.weights_from_memory(memory, geometry), w)
    assert memory.flags.c_contiguous


@pytest.mark.parametrize(
    ("image", "padding", "filter_size", "stride", "expected"),
    [
        (32, 2, 5, 1, 32),
        (224, 0, 11, 4, 55),  # 53.25 + 1, rounded up
        (227, 0, 11, 4, 55),
        (8, 2, 3, 2, 6),  # the last window overhangs
        (7, 0, 3, 2, 3),
        (5, 0, 5, 3, 1),
    ],
)
def test_modules(image: int, padding: int, filter_size: int, stride: int, expected: int) -> None:
    assert modules(image, padding, filter_size, stride) == expected


def test_properties_of_a_geometry() -> None:
    g = GEOMETRIES["groups and overhang"]
    assert (g.filter_channels, g.rows, g.weights, g.modules, g.output) == (3, 27, (27, 10), 24, Maps(10, 6, 4))


@pytest.mark.parametrize("wrong", ["maps", "filters", "modules_x", "groups"])
def test_shapes_must_fit(run_exact: Run, wrong: str) -> None:
    g = GEOMETRIES["groups and overhang"]
    x, w, y = arrays(g, run_exact.dtype)
    other: dict[str, object] = {"maps": Maps(6, 5, 8), "filters": 8, "modules_x": 5, "groups": 1}
    changed = dataclasses.replace(g, **{wrong: other[wrong]})
    with pytest.raises(ValueError, match="ConvGeometry"):
        run_exact("conv.fprop", x, w, None, y, changed, accumulate=False, neuron=None)


def test_the_bias_must_fit(run_exact: Run) -> None:
    g = GEOMETRIES["plain"]
    x, w, y = arrays(g, run_exact.dtype)
    with pytest.raises(ValueError, match=r"bias of shape \(6,\)"):
        run_exact("conv.fprop", x, w, np.zeros(6, run_exact.weights), y, g, accumulate=False, neuron=None)
