"""Locally connected filters against loops in float64, over the geometries that are hard for convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.errors import ConvnetError
from convnet.ops.local import LocalGeometry, cpu
from convnet.ops.neuron import NeuronFunction
from convnet.shape import Maps

from . import reference_conv
from .conftest import Run
from .conv_checks import CUBLAS_TF32, Expected
from .conv_checks import check as check_result

# maps (channels, y, x), filters, filter size, padding, stride, groups, modules y, modules x.
GEOMETRIES = {
    "plain": LocalGeometry(Maps(3, 7, 6), 5, 3, 1, 1, 1, 7, 6),
    "groups and overhang": LocalGeometry(Maps(6, 8, 5), 10, 3, 2, 2, 2, 6, 4),
    "gaps": LocalGeometry(Maps(2, 8, 9), 3, 2, 0, 3, 1, 3, 4),
    "windows outside the image": LocalGeometry(Maps(2, 3, 4), 3, 2, 3, 1, 1, 8, 9),
    "fewer modules": LocalGeometry(Maps(3, 9, 9), 4, 3, 0, 2, 1, 2, 3),
    "single pixels": LocalGeometry(Maps(6, 4, 5), 9, 1, 0, 1, 3, 4, 5),
    "whole packs": LocalGeometry(Maps(16, 5, 6), 6, 3, 1, 2, 2, 3, 3),  # a GPU takes 8 channels in 16 bytes
    "several products": LocalGeometry(Maps(42, 4, 3), 130, 5, 2, 1, 2, 4, 3),
}
CASES = [1, 19, 71]  # the last: several tiles, and not all of one size
TANH = NeuronFunction("tanh", 1.3, 0.4)  # steeper than 0.52 nowhere: no error grows in it
check = partial(check_result, tf32=CUBLAS_TF32)


@pytest.fixture(params=GEOMETRIES)
def geometry(request: pytest.FixtureRequest) -> LocalGeometry:
    return GEOMETRIES[request.param]


def arrays(g: LocalGeometry, dtype: Any, n: int = 19) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, w, y of normal numbers."""
    rng = np.random.default_rng(n)
    shapes = ((n, g.maps.y, g.maps.x, g.maps.channels), g.weights, (n, g.modules_y, g.modules_x, g.filters))
    x, w, y = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    return x, w, y


def expect(reference: Callable[..., Any], a: np.ndarray, b: np.ndarray, g: LocalGeometry, terms: int) -> Expected:
    return Expected(partial(reference, own_filters=True), a, b, g, terms)


@pytest.mark.parametrize("n", CASES)
def test_fprop(run_products: Run, geometry: LocalGeometry, n: int) -> None:
    x, w, y = arrays(geometry, run_products.dtype, n)
    y[:] = np.nan
    run_products("local.fprop", x, w, None, y, geometry, accumulate=False, neuron=None)
    check(run_products, y, expect(reference_conv.fprop, x, w, geometry, geometry.rows))


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_fprop_adds_to_y_before_bias_and_neuron(
    run_products: Run, geometry: LocalGeometry, with_bias: bool, accumulate: bool
) -> None:
    x, w, y = arrays(geometry, run_products.dtype)
    bias = np.random.default_rng(5).normal(size=y[0].size).astype(run_products.weights)
    expected = expect(reference_conv.fprop, x, w, geometry, geometry.rows)
    if accumulate:
        expected.add(y)
    if with_bias:
        expected.add(bias.reshape(y[0].shape))
    arguments = x, w, bias if with_bias else None, y, geometry
    run_products("local.fprop", *arguments, accumulate=accumulate, neuron=TANH)
    check(run_products, y, expected, lambda v: 1.3 * np.tanh(0.4 * v), stored_between=True)
    if with_bias and not accumulate:
        run_products("local.fprop", *arguments, accumulate=False, neuron=None)
        check(run_products, y, expected, stored_between=True)


@pytest.mark.parametrize("n", CASES)
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop_acts(run_products: Run, geometry: LocalGeometry, accumulate: bool, n: int) -> None:
    dx, w, dy = arrays(geometry, run_products.dtype, n)
    terms = geometry.filter_size**2 * geometry.filters // geometry.groups
    expected = expect(reference_conv.bprop_acts, dy, w, geometry, terms)
    if accumulate:
        expected.add(dx)
    else:
        dx[:] = np.nan
    run_products("local.bprop_acts", dy, w, dx, geometry, accumulate=accumulate)
    check(run_products, dx, expected)


@pytest.mark.parametrize("n", CASES)
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop_weights(run_products: Run, geometry: LocalGeometry, accumulate: bool, n: int) -> None:
    x, w, dy = arrays(geometry, run_products.dtype, n)
    dw = w.astype(run_products.weights)
    expected = expect(reference_conv.bprop_weights, x, dy, geometry, n)
    if accumulate:
        expected.add(dw)
    else:
        dw[:] = np.nan
    run_products("local.bprop_weights", x, dy, dw, geometry, accumulate=accumulate)
    check(run_products, dw, expected)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("name", ["groups and overhang", "windows outside the image"])
def test_in_chunks_of_cases(
    name: str, accumulate: bool, precision: str, cuda_device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a workspace that holds NaN, as another operation might leave it."""
    device = cuda_device(precision)
    run, g, cases = Run(device, device.activations, precision), GEOMETRIES[name], 5
    from convnet.ops.conv import cuda_windows

    monkeypatch.setattr(cuda_windows, "WORKSPACE", 2 * g.modules * cuda_windows.columns(g) * run.dtype.itemsize)
    assert list(cuda_windows.chunks(g, cases, run.dtype)) == [(0, 2), (2, 2), (4, 1)]
    device.upload(np.full(1 << 16, np.nan), device.workspace.reserve((1 << 16,))())
    test_fprop(run, g, cases)
    test_fprop_adds_to_y_before_bias_and_neuron(run, g, True, accumulate)
    test_bprop_acts(run, g, accumulate, cases)
    test_bprop_weights(run, g, accumulate, cases)


@pytest.mark.gpu
def test_windows_that_kernels_cannot_count(cuda_device: Any) -> None:
    run, side = Run(cuda_device("fp32"), np.float32, "fp32"), 40_000
    g = LocalGeometry(Maps(1, side, side), 1, 3, 1, 1, 1, side, side)
    few = np.zeros((1, 1), np.float32)
    with pytest.raises(ConvnetError, match="14,400,000,000"):
        run("local.bprop_acts", few, few, few, g, accumulate=False)


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("name", ["groups and overhang", "several products", "gaps", "windows outside the image"])
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
    w = arrays(geometry, "float64")[1]
    memory = cpu.weights_to_memory(w, geometry)
    size, depth = geometry.filter_size, geometry.filter_channels
    for module, c, i, j in np.ndindex(geometry.modules, depth, size, size):
        row = memory[((module * size + i) * size + j) * depth + c]
        np.testing.assert_array_equal(row, w[((module * depth + c) * size + i) * size + j])
    np.testing.assert_array_equal(cpu.weights_from_memory(memory, geometry), w)
    assert memory.flags.c_contiguous


def test_shape_of_the_weights() -> None:
    assert GEOMETRIES["groups and overhang"].weights == (6 * 4 * 27, 10)


def test_shapes_must_fit(run_exact: Run) -> None:
    g = GEOMETRIES["plain"]
    x, w, y = arrays(g, run_exact.dtype)
    with pytest.raises(ValueError, match="LocalGeometry"):
        run_exact("local.fprop", x, w[: g.rows], None, y, g, accumulate=False, neuron=None)
    with pytest.raises(ValueError, match=r"bias of shape \(5,\)"):
        run_exact("local.fprop", x, w, np.zeros(5, run_exact.weights), y, g, accumulate=False, neuron=None)
