"""The bounds on the norm of filters about their mean, against loops in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet import ops

from .conftest import Run

Array = np.ndarray[Any, Any]

TOLERANCE = {"float64": 1e-13, "float32": 2.0**-23}  # norms are float64 in every precision


def weights(run: Run, rows: int, columns: int) -> Array:
    """Columns of very different norms, with means that no norm may ignore."""
    generator = np.random.default_rng(rows)
    return (generator.normal(size=(rows, columns)) * generator.uniform(0.1, 2, columns) + 0.7).astype(run.weights)


def norms(w: Array) -> Array:
    """sqrt(sum((w - mean)^2)) / n of each column."""
    found = []
    for column in w.astype(np.float64).T:
        mean = sum(column) / len(column)
        found.append(np.sqrt(sum((value - mean) ** 2 for value in column)) / len(column))
    return np.array(found)


@pytest.mark.parametrize("without", ["nothing", "low", "high"])
@pytest.mark.parametrize(("rows", "columns"), [(21, 131), (100, 5), (33, 32)])
def test_wcnorm(run: Run, rows: int, columns: int, without: str) -> None:
    w = weights(run, rows, columns)
    before, found = w.copy(), norms(w)
    low, high = np.quantile(found, [0.33, 0.68])
    low, high = 0.0 if without == "low" else float(low), 1e9 if without == "high" else float(high)
    expected = w * (np.clip(found, low, high) / found)
    run("update.wcnorm", w, low=low, high=high)
    np.testing.assert_allclose(w, expected, rtol=TOLERANCE[w.dtype.name])
    within = (found >= low) & (found <= high)
    assert 0 < within.sum() < columns
    assert np.array_equal(w[:, within], before[:, within])


def test_columns_of_one_value_and_of_nan_stay(run: Run) -> None:
    w = np.array([[3, np.nan, 0, 2], [3, 5, 0, 4]], run.weights)
    run("update.wcnorm", w, low=1.0, high=2.0)
    np.testing.assert_allclose(w, [[3, np.nan, 0, 2 * 2**0.5], [3, 5, 0, 4 * 2**0.5]], rtol=1e-6)


def test_the_mean_does_not_drown_the_rest(run: Run) -> None:
    """The mean of squares less the square of the mean would be 0, or worse, in float32."""
    w = (np.arange(40).reshape(20, 2) / 1024 + 4096).astype(run.weights)
    expected = w * (0.001 / norms(w))
    run("update.wcnorm", w, low=0.0, high=0.001)
    np.testing.assert_allclose(w, expected, rtol=TOLERANCE[w.dtype.name] * 4)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16"])
def test_rounded_weights_follow_the_weights(cuda_device: Any, precision: str) -> None:
    dev = cuda_device(precision)
    run = Run(dev, dev.activations, precision)
    w = weights(run, 20, 6)
    matrix, copy = (dev.array(dev.allocate(w.size * 4), 0, w.shape, dtype) for dtype in (w.dtype, run.dtype))
    dev.upload(w, matrix)
    dev.upload(w.astype(run.dtype), copy)
    ops.load("update", "cuda").wcnorm(dev, matrix, low=0.0, high=float(np.median(norms(w))), operands=copy)()
    now = dev.download(matrix)
    assert 0 < (now == w).all(axis=0).sum() < 6
    assert np.array_equal(dev.download(copy), now.astype(run.dtype))


@pytest.mark.parametrize(("low", "high"), [(0.3, 0.2), (-0.1, 0.2), (0.0, 0.0), (0.0, float("nan"))])
def test_bounds_that_are_none(run: Run, low: float, high: float) -> None:
    with pytest.raises(ValueError, match="expected 0 <= low <= high"):
        run("update.wcnorm", np.ones((3, 2), run.weights), low=low, high=high)
