"""Matrix products against sums in float64, over the shapes that are cut into tiles and those that are not."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.matmul import cpu
from convnet.ops.neuron import NeuronFunction

# n, i, o: one tile; cut along the outputs; along the cases; along the inputs, each with a rest.
SHAPES = [(5, 7, 3), (61, 601, 801), (701, 303, 130), (65, 1501, 301)]
TANH = NeuronFunction("tanh", 1.3, 0.4)


@pytest.fixture
def dev() -> CpuDevice:
    return CpuDevice(threads=2)


def arrays(n: int, i: int, o: int, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, w, bias, y of normal numbers."""
    rng = np.random.default_rng(n)
    x, w, bias, y = (rng.normal(size=shape).astype(dtype) for shape in ((n, i), (i, o), (o,), (n, o)))
    return x, w / np.sqrt(i).astype(dtype), bias, y


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a b without BLAS."""
    return np.einsum("ij,jk->ik", a.astype(np.float64), b.astype(np.float64), optimize=False)


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    tolerance = 1e-12 if actual.dtype == np.float64 else 2e-5
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


def test_the_shapes_are_cut_as_the_tests_expect() -> None:
    cuts = [-(-longest // cpu.tile(longest, n * i * o // longest)) for n, i, o in SHAPES for longest in [max(n, i, o)]]
    assert cuts[0] == 1
    assert min(cuts[1:]) > 1


@pytest.mark.parametrize("length", [1, 16, 300, 4096, 9216])
@pytest.mark.parametrize("work", [1, 10_000, 10_000_000])
def test_tiles_are_whole_vectors_with_enough_work(length: int, work: int) -> None:
    size = cpu.tile(length, work)
    assert size % 16 == 0
    assert size >= length or size * work >= 2**23 * 0.9


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_fprop(dev: CpuDevice, shape: tuple[int, int, int], dtype: str) -> None:
    x, w, bias, y = arrays(*shape, dtype)
    expected = product(x, w)
    cpu.fprop(dev, x, w, None, y, accumulate=False, neuron=None)()
    close(y, expected)
    cpu.fprop(dev, x, w, bias, y, accumulate=False, neuron=TANH)()
    close(y, 1.3 * np.tanh(0.4 * (expected + bias)))


@pytest.mark.parametrize("shape", SHAPES)
def test_fprop_adds_to_y_before_bias_and_neuron(dev: CpuDevice, shape: tuple[int, int, int]) -> None:
    x, w, bias, y = arrays(*shape)
    expected = 1.3 * np.tanh(0.4 * (product(x, w) + y + bias))
    cpu.fprop(dev, x, w, bias, y, accumulate=True, neuron=TANH)()
    close(y, expected)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_bprop(dev: CpuDevice, shape: tuple[int, int, int], dtype: str, accumulate: bool) -> None:
    x, w, _, dy = arrays(*shape, dtype)
    dx, dw = np.random.default_rng(1).normal(size=x.shape).astype(dtype), np.ones_like(w)
    expected_dx = product(dy, w.T) + (dx if accumulate else 0)
    expected_dw = product(x.T, dy) + (dw if accumulate else 0)
    cpu.bprop_acts(dev, dy, w, dx, accumulate=accumulate)()
    cpu.bprop_weights(dev, x, dy, dw, accumulate=accumulate)()
    close(dx, expected_dx)
    close(dw, expected_dw)


def test_old_content_does_not_show_through(dev: CpuDevice) -> None:
    x, w, bias, y = arrays(*SHAPES[0])
    y[:] = np.nan
    cpu.fprop(dev, x, w, bias, y, accumulate=False, neuron=None)()
    close(y, product(x, w) + bias)


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("shape", SHAPES)
def test_threads_do_not_change_a_bit(shape: tuple[int, int, int], threads: int) -> None:
    x, w, bias, y = arrays(*shape, "float32")
    results = []
    for count in (1, threads):
        dev = CpuDevice(threads=count)
        out, dx, dw = np.empty_like(y), np.empty_like(x), np.empty_like(w)
        cpu.fprop(dev, x, w, bias, out, accumulate=False, neuron=NeuronFunction("logistic"))()
        cpu.bprop_acts(dev, y, w, dx, accumulate=False)()
        cpu.bprop_weights(dev, x, y, dw, accumulate=False)()
        results.append((out, dx, dw))
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize("wrong", ["w", "bias", "y"])
def test_shapes_must_fit(dev: CpuDevice, wrong: str) -> None:
    x, w, bias, y = arrays(4, 5, 6)
    shapes = {"w": w, "bias": bias, "y": y}
    shapes[wrong] = shapes[wrong][:-1]
    with pytest.raises(ValueError, match="matmul"):
        cpu.fprop(dev, x, shapes["w"], shapes["bias"], shapes["y"], accumulate=False, neuron=None)
