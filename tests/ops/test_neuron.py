"""Neurons against formulas written here with Python's float64 math, and against differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.neuron import NeuronFunction, cpu, parse

from .conftest import Run

# Text, f and f' by definition, and the inputs on which they are defined.
CASES: dict[str, tuple[Callable[[float], float], Callable[[float], float], tuple[float, float]]] = {
    "ident": (lambda x: x, lambda x: 1, (-3, 3)),
    "logistic": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2, (-6, 6)),
    "relu": (lambda x: max(0, x), lambda x: float(x > 0), (-3, 3)),
    "brelu[1.25]": (lambda x: min(1.25, max(0, x)), lambda x: float(0 < x < 1.25), (-3, 3)),
    "softrelu": (lambda x: math.log(1 + math.exp(x)), lambda x: 1 / (1 + math.exp(-x)), (-6, 8)),
    "abs": (abs, lambda x: 1 if x > 0 else -1, (-3, 3)),
    "square": (lambda x: x * x, lambda x: 2 * x, (-3, 3)),
    "sqrt": (math.sqrt, lambda x: 0.5 / math.sqrt(x), (0.1, 9)),
    "tanh[1.7,0.6]": (
        lambda x: 1.7 * math.tanh(0.6 * x),
        lambda x: 1.7 * 0.6 * (1 - math.tanh(0.6 * x) ** 2),
        (-4, 4),
    ),
    "linear[-0.7,0.3]": (lambda x: -0.7 * x + 0.3, lambda x: -0.7, (-3, 3)),
    "log[0.9]": (lambda x: math.log(0.9 + x), lambda x: 1 / (0.9 + x), (-0.8, 5)),
    "drelu[0.8]": (lambda x: x - 0.8 * math.tanh(x / 0.8), lambda x: math.tanh(x / 0.8) ** 2, (-4, 4)),
}
SHAPE = (3, 7, 5, 83)  # three blocks, the last one cut


TOLERANCE = {"float64": 1e-12, "float32": 3e-6, "bfloat16": 2**-8}  # bfloat16: rounding once


def inputs(bounds: tuple[float, float], dtype: Any) -> np.ndarray:
    return np.random.default_rng(1).uniform(*bounds, SHAPE).astype(dtype)


def each(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    return np.array([function(float(value)) for value in x.reshape(-1)]).reshape(x.shape)


def check(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("text", CASES)
def test_fprop_follows_the_formula(run: Run, text: str) -> None:
    function, _, bounds = CASES[text]
    x = inputs(bounds, run.dtype)
    y = np.full_like(x, np.nan)
    run("neuron.fprop", x, y, parse(text))
    check(y, each(function, x), TOLERANCE[run.dtype.name])


@pytest.mark.parametrize("text", CASES)
def test_bprop_follows_the_formula(run: Run, text: str) -> None:
    """y is given exactly as far as its type goes: what its rounding does to the slope is not the gradient's error."""
    function, slope, bounds = CASES[text]
    f, x = parse(text), inputs(bounds, run.dtype)
    dy = np.random.default_rng(2).normal(size=SHAPE).astype(run.dtype)
    dx = np.full_like(x, np.nan)
    run("neuron.bprop", dy, each(function, x).astype(run.dtype) if f.from_output else x, dx, f, accumulate=False)
    check(dx, dy.astype(np.float64) * each(slope, x), 20 * TOLERANCE[run.dtype.name])


@pytest.mark.parametrize("text", CASES)
def test_in_place_equals_separate_arrays(run: Run, text: str) -> None:
    f, x = parse(text), inputs(CASES[text][2], run.dtype)
    y, own = np.empty_like(x), x.copy()
    run("neuron.fprop", x, y, f)
    run("neuron.fprop", own, own, f)
    np.testing.assert_array_equal(own, y)
    dy, dx = np.random.default_rng(2).normal(size=SHAPE).astype(run.dtype), np.empty_like(x)
    xy, own = (y if f.from_output else x), dy.copy()
    run("neuron.bprop", dy, xy, dx, f, accumulate=False)
    run("neuron.bprop", own, xy, own, f, accumulate=False)
    np.testing.assert_array_equal(own, dx)


def test_bprop_accumulates(run: Run) -> None:
    f, x = NeuronFunction("square"), inputs((-3, 3), run.dtype)
    dy, dx = np.random.default_rng(2).normal(size=(2, *SHAPE)).astype(run.dtype)
    expected = dx.astype(np.float64) + dy.astype(np.float64) * 2 * x
    run("neuron.bprop", dy, x, dx, f, accumulate=True)
    check(dx, expected, TOLERANCE[run.dtype.name])
    with pytest.raises(ValueError, match="accumulate"):
        run("neuron.bprop", dx, x, dx, f, accumulate=True)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("logistic", 0, 1), ("tanh[1.5,2]", -1.5, 1.5), ("softrelu", 0, 9984), ("drelu[2]", -9984 + 2, 9984 - 2)],
)
def test_large_inputs_give_the_limits(run: Run, text: str, low: float, high: float) -> None:
    f, x = parse(text), np.array([-9984, 9984], run.dtype)
    y, dx = np.empty_like(x), np.empty_like(x)
    run("neuron.fprop", x, y, f)
    check(y, np.array([low, high]), TOLERANCE[run.dtype.name])
    run("neuron.bprop", np.ones_like(x), y if f.from_output else x, dx, f, accumulate=False)
    saturated = {"softrelu": [0, 1], "drelu[2]": [1, 1]}.get(text, [0, 0])
    check(dx, np.array(saturated), TOLERANCE[run.dtype.name])


def test_softrelu_keeps_small_numbers_exact(run: Run) -> None:
    x = np.array([-30.0, 30.0]).astype(run.dtype)
    y = np.empty_like(x)
    run("neuron.fprop", x, y, NeuronFunction("softrelu"))
    np.testing.assert_allclose(
        y.astype(np.float64), [math.exp(-30), 30 + math.exp(-30)], rtol=TOLERANCE[run.dtype.name]
    )


@pytest.mark.parametrize("text", CASES)
def test_nan_stays_nan(run: Run, text: str) -> None:
    y = np.full(5, np.nan, run.dtype)
    run("neuron.fprop", y, y, parse(text))
    assert np.isnan(y).all()


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("text", CASES)
def test_threads_do_not_change_a_bit(text: str, threads: int) -> None:
    x = np.random.default_rng(3).uniform(0.01, 2, 5 * cpu.BLOCK + 13).astype(np.float32)
    one, many = np.empty_like(x), np.empty_like(x)
    for dev, y in ((CpuDevice(threads=1), one), (CpuDevice(threads=threads), many)):
        cpu.fprop(dev, x, y, parse(text))()
        cpu.bprop(dev, y, y, y, parse(text), accumulate=False)()
    np.testing.assert_array_equal(many, one)


def test_arrays_must_be_alike(run: Run) -> None:
    with pytest.raises(ValueError, match="differ"):
        run("neuron.fprop", np.zeros((2, 3), run.dtype), np.zeros((3, 2), run.dtype), NeuronFunction("relu"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relu", NeuronFunction("relu")),
        (" ReLU ", NeuronFunction("relu")),
        ("tanh[1.7,0.6]", NeuronFunction("tanh", 1.7, 0.6)),
        ("TANH [ 1e-1 , -2E+1 ]", NeuronFunction("tanh", 0.1, -20)),
        ("brelu[.5]", NeuronFunction("brelu", 0.5)),
        ("log[1]", NeuronFunction("log", 1.0)),
    ],
)
def test_parse(text: str, expected: NeuronFunction) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", ""),
        ("zebra", ""),
        ("relu relu", "; did you mean 'relu'?"),
        ("rely", "; did you mean 'relu'?"),
        ("nrelu", "; did you mean 'relu'?"),
        ("TAHN[1,2]", "; did you mean 'tanh[a,b]'?"),
        *((text, "; tanh needs 2 numbers, as in tanh[1.7,0.6]")
          for text in ("tanh", "Tanh[1]", "tanh[1,2,3]", "tanh[1,x]", "tanh[1,2", "tanh[]")),
        ("brelu[]", "; brelu needs 1 number, as in brelu[6]"),
        ("relu[1]", "; relu takes no numbers, as in relu"),
    ],
)  # fmt: skip
def test_parse_hints_and_lists_the_neurons_on_a_mistake(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match="expected a neuron") as error:
        parse(text)
    words, _, listing = str(error.value).partition(" (neurons: ")
    assert words == f"expected a neuron, found '{text}'{hint}"
    assert listing == (
        "ident, logistic, relu, brelu[a], softrelu, abs, square, sqrt, tanh[a,b], linear[a,b], log[a], drelu[a])"
    )


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="nrelu"):
        NeuronFunction("nrelu")
