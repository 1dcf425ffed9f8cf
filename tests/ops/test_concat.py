"""Concatenation against NumPy, with columns that fill 16 bytes and columns that do not."""

from __future__ import annotations

import numpy as np
import pytest

from .conftest import Run

ROWS = 29
WIDTHS = [(3, 1, 19), (16, 8, 24), (8, 3, 16), (5, 16, 11), (2, 257, 4)]


@pytest.fixture(params=WIDTHS, ids=str)
def parts(run: Run, request: pytest.FixtureRequest) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.normal(size=(ROWS, width)).astype(run.dtype) for width in request.param]


def offset(parts: list[np.ndarray], part: int) -> int:
    return sum(array.shape[1] for array in parts[:part])


def columns(parts: list[np.ndarray]) -> int:
    return offset(parts, len(parts))


def test_fprop(run: Run, parts: list[np.ndarray]) -> None:
    y = np.full((ROWS, columns(parts)), np.nan, run.dtype)
    for part in (2, 0, 1):
        run("concat.fprop", parts[part], y, offset=offset(parts, part))
    np.testing.assert_array_equal(y, np.concatenate(parts, axis=1))


def test_fprop_writes_its_own_columns_only(run: Run, parts: list[np.ndarray]) -> None:
    y = np.full((ROWS, columns(parts)), 7, run.dtype)
    run("concat.fprop", parts[1], y, offset=offset(parts, 1))
    np.testing.assert_array_equal(y[:, : offset(parts, 1)], 7)
    np.testing.assert_array_equal(y[:, offset(parts, 2) :], 7)


@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop(run: Run, parts: list[np.ndarray], accumulate: bool) -> None:
    dy = np.concatenate(parts, axis=1)
    for part, expected in enumerate(parts):
        dx = np.full_like(expected, 0.5 if accumulate else np.nan)
        run("concat.bprop", dy, dx, offset=offset(parts, part), accumulate=accumulate)
        np.testing.assert_array_equal(dx, expected + run.dtype.type(0.5) if accumulate else expected)


def test_parts_that_do_not_fit(run: Run, parts: list[np.ndarray]) -> None:
    y = np.zeros((ROWS, columns(parts)), run.dtype)
    for part, place in ((parts[2], columns(parts) - 2), (parts[0], -1), (parts[0][1:], 0)):
        with pytest.raises(ValueError, match=r"concat: .* does not fit into"):
            run("concat.fprop", part, y, offset=place)
        with pytest.raises(ValueError, match=r"concat: .* does not fit into"):
            run("concat.bprop", y, part, offset=place, accumulate=False)
