"""Softmax against PyTorch in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .conftest import Run

SHAPES = [(7, 13), (3, 1), (1, 1000), (5, 67)]
TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 2**-8}


def scores(shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Scores between about -1000 and 1000: without the maximum taken off, exp overflows."""
    generator = np.random.default_rng(3)
    return (generator.normal(size=shape) * 3 + generator.normal(size=(shape[0], 1)) * 800).astype(dtype)


def probabilities(shape: tuple[int, int]) -> np.ndarray:
    """Parts of a power of two, at most 8 bits each: exact in every type, and their sum is 1."""
    cases, classes = shape
    total = 1 << classes.bit_length()
    return (1 + np.random.default_rng(5).multinomial(total - classes, np.ones(classes) / classes, cases)) / total


@pytest.mark.peer
@pytest.mark.parametrize("shape", SHAPES)
def test_fprop(torch: Any, run: Run, shape: tuple[int, int]) -> None:
    x = scores(shape, run.dtype)
    y = np.full(shape, np.nan, run.dtype)
    run("softmax.fprop", x, y)
    expected = torch.softmax(torch.tensor(x.astype(np.float64)), 1).numpy()
    smallest = 1e-300 if run.dtype == np.float64 else 1e-37
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=TOLERANCE[run.dtype.name], atol=smallest)


@pytest.mark.peer
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop(torch: Any, run: Run, shape: tuple[int, int], accumulate: bool) -> None:
    y = probabilities(shape)
    dy, before = np.random.default_rng(4).normal(size=(2, *shape)).astype(run.dtype)
    x = torch.tensor(np.log(y), requires_grad=True)
    (gradient,) = torch.autograd.grad(torch.softmax(x, 1), x, torch.tensor(dy.astype(np.float64)))
    expected = gradient.numpy() + before.astype(np.float64) * accumulate
    dx = before.copy() if accumulate else np.full_like(before, np.nan)
    run("softmax.bprop", dy, y.astype(run.dtype), dx, accumulate=accumulate)
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(dx.astype(np.float64), expected, rtol=tolerance, atol=min(tolerance, 2e-6))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 4, 36])
def test_a_diverged_case_is_seen_and_spoils_no_other(run: Run, bad: float, place: int) -> None:
    x = np.zeros((3, 40), run.dtype)
    x[1, place] = bad
    y = np.empty_like(x)
    run("softmax.fprop", x, y)
    assert np.isnan(y[1]).all()
    np.testing.assert_allclose(y[[0, 2]].astype(np.float64), 1 / 40, rtol=max(1e-6, TOLERANCE[run.dtype.name]))


def test_arrays_that_do_not_fit(run: Run) -> None:
    one, other = np.zeros((3, 5), run.dtype), np.zeros((3, 4), run.dtype)
    with pytest.raises(ValueError, match=r"\(3, 5\), \(3, 4\)"):
        run("softmax.fprop", one, other)
    with pytest.raises(ValueError, match=r"\(3, 5\), \(3, 5\), \(3, 4\)"):
        run("softmax.bprop", one, one, other, accumulate=False)
