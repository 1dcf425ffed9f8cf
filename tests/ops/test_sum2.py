"""Sum of squares against exact sums and PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from .conftest import Run

SHAPES = [(5, 37), (1, 1), (3, 1025), (2, 4096), (3, 24)]
TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 2**-8}


@pytest.mark.parametrize("shape", SHAPES)
def test_fprop(run: Run, shape: tuple[int, int]) -> None:
    """Sums are float32 at least, so that the type of x makes no difference."""
    x = np.random.default_rng(5).normal(size=shape).astype(run.dtype)
    values = np.full((shape[0], 1), np.nan, run.weights)
    run("sum2.fprop", x, values)
    expected = [[math.fsum(float(number) ** 2 for number in case)] for case in x]
    np.testing.assert_allclose(values, expected, rtol=1e-13 if run.dtype == np.float64 else 1e-6)


@pytest.mark.peer
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop(torch: Any, run: Run, shape: tuple[int, int], accumulate: bool) -> None:
    x, before = np.random.default_rng(6).normal(size=(2, *shape)).astype(run.dtype)
    inputs = torch.tensor(x.astype(np.float64), requires_grad=True)
    (gradient,) = torch.autograd.grad(0.7 * (inputs * inputs).sum(), inputs)
    expected = gradient.numpy() + before.astype(np.float64) * accumulate
    dx = before.copy() if accumulate else np.full_like(before, np.nan)
    run("sum2.bprop", x, dx, coeff=0.7, accumulate=accumulate)
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(dx.astype(np.float64), expected, rtol=tolerance, atol=min(tolerance, 2e-6))


def test_arrays_that_do_not_fit(run: Run) -> None:
    x = np.zeros((3, 5), run.dtype)
    with pytest.raises(ValueError, match=r"values of shape \(3,\)"):
        run("sum2.fprop", x, np.zeros(3, run.weights))
    with pytest.raises(ValueError, match=r"dx of shape \(3, 4\)"):
        run("sum2.bprop", x, x[:, :4], coeff=1.0, accumulate=False)
