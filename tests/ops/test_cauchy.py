"""The Cauchy cost against exact sums and differences of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from .conftest import Run

Array = np.ndarray[Any, Any]

SHAPES = [(5, 37), (1, 1), (3, 1025), (2, 64)]
TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 2**-8}


def numbers(run: Run, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Targets and outputs some of which are far apart, multiples of 1/8 that every type holds."""
    drawn = np.random.default_rng(5).integers(-60, 60, size=(2, *shape)) / 8
    return drawn[0], drawn[1].astype(run.dtype)


@pytest.mark.parametrize("shape", SHAPES)
def test_fprop(run: Run, typed: Any, shape: tuple[int, int]) -> None:
    targets, outputs = numbers(run, shape)
    values = np.full((shape[0], 1), np.nan, run.weights)
    run("cauchy.fprop", targets.astype(typed), outputs, values)
    distances = outputs.astype(np.float64) - targets
    expected = [[math.fsum(math.log(1 + d * d) for d in case)] for case in distances]
    np.testing.assert_allclose(values, expected, rtol=TOLERANCE[run.weights.name])


def test_small_distances_are_not_lost(run: Run) -> None:
    """log(1 + d^2) of a d whose square vanishes beside 1 in float32."""
    targets, outputs = np.zeros((1, 4), run.weights), np.full((1, 4), 2.0**-14, run.dtype)
    values = np.zeros((1, 1), run.weights)
    run("cauchy.fprop", targets, outputs, values)
    np.testing.assert_allclose(values, 4 * 2.0**-28, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop(run: Run, typed: Any, shape: tuple[int, int], accumulate: bool) -> None:
    """Central differences of the cost in float64."""
    targets, outputs = numbers(run, shape)
    distances, step = outputs.astype(np.float64) - targets, 1e-5
    expected = 0.7 * (np.log1p((distances + step) ** 2) - np.log1p((distances - step) ** 2)) / (2 * step)
    before = np.random.default_rng(6).normal(size=shape).astype(run.dtype)
    dx = before.copy() if accumulate else np.full_like(before, np.nan)
    run("cauchy.bprop", targets.astype(typed), outputs, dx, coeff=0.7, accumulate=accumulate)
    expected = expected + before.astype(np.float64) * accumulate
    # The differences themselves are good to 1e-9; what is added may cancel in part.
    tolerance, small = max(TOLERANCE[run.dtype.name], 1e-9), 2e-9 if run.dtype == np.float64 else 1e-6
    np.testing.assert_allclose(dx.astype(np.float64), expected, rtol=tolerance, atol=small)


def test_arrays_that_do_not_fit(run: Run) -> None:
    x = np.zeros((3, 5), run.dtype)
    for targets, values in ((x[:, :4], np.zeros((3, 1), run.weights)), (x, np.zeros((3, 2), run.weights))):
        with pytest.raises(ValueError, match="do not fit together"):
            run("cauchy.fprop", targets.astype(run.weights), x, values)
    with pytest.raises(ValueError, match="do not fit together"):
        run("cauchy.bprop", x, x, x[:, :4], coeff=1.0, accumulate=False)
