"""Plain arithmetic on flat arrays."""

from __future__ import annotations

import numpy as np
import pytest

from .conftest import Run


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1023, 70001])
def test_add(run_exact: Run, size: int) -> None:
    random = np.random.default_rng(size)
    x, y = random.normal(size=size), random.normal(size=size)
    expected = y.astype(run_exact.dtype) + x.astype(run_exact.dtype)
    x, y = x.astype(run_exact.dtype), y.astype(run_exact.dtype)
    run_exact("flat.add", x, y)
    assert np.array_equal(y, expected)


def test_add_wants_arrays_of_one_length(run_exact: Run) -> None:
    with pytest.raises(ValueError, match=r"^flat: x of shape \(3,\), y of shape \(4,\)$"):
        run_exact("flat.add", np.zeros(3, run_exact.dtype), np.zeros(4, run_exact.dtype))


@pytest.mark.parametrize("size", [1, 5, 70001])
def test_clear(run_exact: Run, size: int) -> None:
    """Whatever was there, also what is no number."""
    y = np.full(size, np.nan, run_exact.dtype)
    run_exact("flat.clear", y)
    assert not y.any()
