"""Matrix products against sums in float64, over the shapes that are cut into tiles and those that are not."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.matmul import cpu
from convnet.ops.neuron import NeuronFunction

from .conftest import Run

# n, i, o: one tile; cut along the outputs; along the cases; along the inputs, each with a rest; whole packs.
SHAPES = [(5, 7, 3), (61, 601, 801), (701, 303, 130), (65, 1501, 301), (9, 24, 40)]
TANH = NeuronFunction("tanh", 1.3, 0.4)  # steeper than 0.52 nowhere: no error grows in it
# What one rounding is off by, of a number of size 1.
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8}
# What is lost of each tf32 operand: cuBLAS does not say whether it rounds or drops the bits behind the tenth.
TF32 = 2.0**-10


def arrays(run: Run, n: int, i: int, o: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, w, bias, y of normal numbers."""
    rng = np.random.default_rng(n)
    x, w, bias, y = (rng.normal(size=shape) for shape in ((n, i), (i, o), (o,), (n, o)))
    return x.astype(run.dtype), (w / np.sqrt(i)).astype(run.dtype), bias.astype(run.weights), y.astype(run.dtype)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a b without BLAS."""
    return np.einsum("ij,jk->ik", a.astype(np.float64), b.astype(np.float64), optimize=False)


def error(run: Run, a: np.ndarray, b: np.ndarray, added: float | np.ndarray = 0.0) -> np.ndarray:
    """What a b + added may be off by: rounded operands, and a rounding of each partial sum."""
    size = product(np.abs(a), np.abs(b)) + np.abs(np.asarray(added, np.float64))
    operands = 2 * TF32 + TF32**2 if run.precision == "tf32" else 0.0
    return size * (operands + (a.shape[1] + 4) * UNIT[run.weights.name])


def close(found: np.ndarray, expected: np.ndarray, allowed: np.ndarray) -> None:
    """`allowed`: the error before the result is stored, which rounds once more."""
    off = np.abs(found.astype(np.float64) - expected)
    assert (off <= allowed + UNIT[found.dtype.name] * (np.abs(expected) + allowed)).all()


def test_the_shapes_are_cut_as_the_tests_expect() -> None:
    cuts = [-(-longest // cpu.tile(longest, n * i * o // longest)) for n, i, o in SHAPES for longest in [max(n, i, o)]]
    assert cuts[0] == 1
    assert min(cuts[1:4]) > 1


@pytest.mark.parametrize("length", [1, 16, 300, 4096, 9216])
@pytest.mark.parametrize("work", [1, 10_000, 10_000_000])
def test_tiles_are_whole_vectors_with_enough_work(length: int, work: int) -> None:
    size = cpu.tile(length, work)
    assert size % 16 == 0
    assert size >= length or size * work >= 2**20 * 0.9


@pytest.mark.parametrize("shape", SHAPES)
def test_fprop(run_products: Run, shape: tuple[int, int, int]) -> None:
    run = run_products
    x, w, _, y = arrays(run, *shape)
    y[:] = np.nan  # old content does not show through
    run("matmul.fprop", x, w, None, y, accumulate=False, neuron=None)
    close(y, product(x, w), error(run, x, w))


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_fprop_adds_to_y_before_bias_and_neuron(
    run_products: Run, shape: tuple[int, int, int], with_bias: bool, accumulate: bool
) -> None:
    run = run_products
    x, w, bias, y = arrays(run, *shape)
    before = y.astype(np.float64) * accumulate
    total, above = product(x, w) + before, bias.astype(np.float64) * with_bias
    # A GPU stores the sum, then adds the bias; the neuron is computed as far as float32 goes.
    allowed = error(run, x, w, before) + 2 * UNIT[run.dtype.name] * np.abs(total) + 8 * UNIT[run.weights.name]
    run("matmul.fprop", x, w, bias if with_bias else None, y, accumulate=accumulate, neuron=TANH)
    close(y, 1.3 * np.tanh(0.4 * (total + above)), allowed)
    if with_bias and not accumulate:
        run("matmul.fprop", x, w, bias, y, accumulate=False, neuron=None)
        close(y, total + above, allowed)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_bprop(run_products: Run, shape: tuple[int, int, int], accumulate: bool) -> None:
    run = run_products
    x, w, _, dy = arrays(run, *shape)
    dx, dw = np.random.default_rng(1).normal(size=x.shape).astype(run.dtype), np.ones(w.shape, run.weights)
    before, ones = dx.astype(np.float64) * accumulate, dw * accumulate
    if not accumulate:
        dx[:] = dw[:] = np.nan
    run("matmul.bprop_acts", dy, w, dx, accumulate=accumulate)
    run("matmul.bprop_weights", x, dy, dw, accumulate=accumulate)
    close(dx, product(dy, w.T) + before, error(run, dy, w.T, before))
    close(dw, product(x.T, dy) + ones, error(run, x.T, dy, ones))


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("shape", SHAPES)
def test_threads_do_not_change_a_bit(shape: tuple[int, int, int], threads: int) -> None:
    x, w, bias, y = arrays(Run(CpuDevice(threads=1), np.float32), *shape)
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
def test_shapes_must_fit(run_products: Run, wrong: str) -> None:
    x, w, bias, y = arrays(run_products, 4, 5, 6)
    shapes = {"w": w, "bias": bias, "y": y}
    shapes[wrong] = shapes[wrong][:-1]
    with pytest.raises(ValueError, match="matmul"):
        run_products("matmul.fprop", x, shapes["w"], shapes["bias"], shapes["y"], accumulate=False, neuron=None)
