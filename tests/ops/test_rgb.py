"""Colours against the contract's formulas in float64, and against known colours."""

from __future__ import annotations

import numpy as np
import pytest

from .conftest import Run

# A GPU takes 4 or 8 pixels at once where their number allows.
SHAPES = [(3, 5, 7, 3), (2, 4, 6, 3), (1, 1, 1, 3), (2, 3, 8, 3)]
# Relative to sums of sizes up to 500; bfloat16: half of it is rounding once.
TOLERANCE = {"float64": 1e-14, "float32": 1e-6, "bfloat16": 2**-8}

YUV = np.array([[0.2126, 0.7152, 0.0722], [-0.09991, -0.33609, 0.436], [0.615, -0.55861, -0.05639]])
XYZ = np.array([[0.49, 0.31, 0.2], [0.17697, 0.8124, 0.01063], [0, 0.01, 0.99]])


def colours(shape: tuple[int, ...], run: Run) -> np.ndarray:
    """From 0 to 1; many are dark, where Lab is linear."""
    return (np.random.default_rng(3).uniform(size=shape) ** 6).astype(run.dtype)


def to_lab(x: np.ndarray, center: bool) -> np.ndarray:
    t = x.astype(np.float64) @ XYZ.T
    assert (t.size < 9) or (0.2 < (t > 0.0088564517).mean() < 0.9)
    f = np.where(t > 0.0088564517, t**0.3333, 7.787037 * t + 0.13793103)
    return np.stack([116 * f[..., 1] - 16 - 50 * center, 500 * (f[..., 0] - f[..., 1]),
                     200 * (f[..., 1] - f[..., 2])], axis=-1)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_to_yuv(run: Run, shape: tuple[int, ...]) -> None:
    x = colours(shape, run)
    y = np.full_like(x, np.nan)
    run("rgb.to_yuv", x, y)
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(y.astype(float), x.astype(np.float64) @ YUV.T, rtol=tolerance, atol=tolerance / 8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("center", [False, True])
def test_to_lab(run: Run, shape: tuple[int, ...], center: bool) -> None:
    x = colours(shape, run)
    y = np.full_like(x, np.nan)
    run("rgb.to_lab", x, y, center=center)
    tolerance = TOLERANCE[run.dtype.name]
    # Differences of numbers up to 500 are exact to 500 times the unit that these are rounded to.
    exactness = 500 * {"float64": 1e-15, "float32": 3e-7, "bfloat16": 3e-7}[run.dtype.name]
    np.testing.assert_allclose(y.astype(float), to_lab(x, center), rtol=tolerance, atol=exactness)


def test_known_colours(run: Run) -> None:
    """Black and white have no colour; black is 0 and white is 100."""
    x = np.array([[0, 0, 0], [1, 1, 1]], run.dtype).reshape(1, 1, 2, 3)
    y = np.full_like(x, np.nan)
    run("rgb.to_lab", x, y, center=False)
    np.testing.assert_allclose(y.reshape(2, 3).astype(float), [[0, 0, 0], [100, 0, 0]], atol=2e-4)
    run("rgb.to_yuv", x, y)
    np.testing.assert_allclose(y.reshape(2, 3).astype(float), [[0, 0, 0], [1, 0, 0]], atol=2e-4)


def test_the_same_bits_each_time(run: Run) -> None:
    x, results = colours((3, 5, 8, 3), run), []
    for _ in range(2):
        y = np.full_like(x, np.nan)
        run("rgb.to_lab", x, y, center=True)
        results.append(y.tobytes())
    assert results[0] == results[1]


def test_arrays_that_do_not_fit(run: Run) -> None:
    x = np.zeros((3, 5, 4, 3), run.dtype)
    for wrong_x, wrong_y in ((x, x[1:]), (x[..., :2], x[..., :2]), (x.reshape(15, 4, 3), x.reshape(15, 4, 3))):
        with pytest.raises(ValueError, match="rgb: expected images of one shape with 3 channels"):
            run("rgb.to_yuv", wrong_x, wrong_y)
        with pytest.raises(ValueError, match="rgb: expected images of one shape with 3 channels"):
            run("rgb.to_lab", wrong_x, wrong_y, center=False)
