"""The binary cross-entropy cost against float64 and PyTorch, and its counts against sets of cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .conftest import Run
from .test_crossent import tiny

Array = np.ndarray[Any, Any]

TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 2**-8}
SHAPES = [(9, 11), (5, 64), (3, 1), (2, 301)]
WEIGHT = 2.5


def chances(shape: tuple[int, int], seed: int = 4) -> Array:
    """Probabilities with at most 8 bits, some of them very small; none is 0, 1/2 or 1."""
    generator = np.random.default_rng(seed)
    found = generator.integers(1, 256, shape) / 256
    found[found == 0.5] = 0.25
    found[:, ::5] = 2.0**-20
    return found


def targets(shape: tuple[int, int]) -> Array:
    """Yes, no, and every third number something between."""
    found = np.random.default_rng(5).integers(0, 2, shape) * 1.0
    found[:, 2::3] = np.random.default_rng(6).integers(0, 17, found[:, 2::3].shape) / 16
    return found


def run_fprop(run: Run, labels: Array, probs: Array, dtype: Any = None) -> Array:
    values = np.full((len(probs), 3), -7, run.weights)
    run("bce.fprop", labels.astype(dtype or run.weights), probs.astype(run.dtype), values, pos_weight=WEIGHT)
    return values


@pytest.mark.parametrize("shape", SHAPES)
def test_cost_and_errors(run: Run, typed: Any, shape: tuple[int, int]) -> None:
    labels, probs = targets(shape), chances(shape)
    values = run_fprop(run, labels, probs, typed)
    expected = -(WEIGHT * labels * np.log(probs) + (1 - labels) * np.log1p(-probs)).sum(axis=1)
    np.testing.assert_allclose(values[:, 0], expected, rtol=TOLERANCE[run.weights.name])
    np.testing.assert_allclose(values[:, 1], ((labels > 0.5) != (probs > 0.5)).mean(axis=1), rtol=1e-6)
    ranked = np.full((len(probs), 2), -7, run.weights)
    run("crossent.fprop", labels.astype(run.weights), probs.astype(run.dtype), ranked)
    assert values[:, 2].tolist() == ranked[:, 1].tolist()


def test_a_small_cost_is_not_lost(run: Run) -> None:
    """1 - 2^-30 is 1 in float32, its logarithm is not 0."""
    probs = np.full((2, 3), 2.0**-30)
    np.testing.assert_allclose(run_fprop(run, np.zeros((2, 3)), probs)[:, 0], 3 * 2.0**-30, rtol=1e-6)


def test_certainty_costs_much_but_not_infinitely(run: Run) -> None:
    least = tiny(run)
    labels, probs = np.array([[1, 0], [0, 1]], run.weights), np.array([[0, 0], [1, 1]], run.dtype)
    values = run_fprop(run, labels, probs)
    np.testing.assert_allclose(values[:, 0], [-WEIGHT * np.log(least), -np.log(least)], rtol=1e-6)
    assert values[:, 1].tolist() == [0.5, 0.5]
    dx = np.empty_like(probs)
    run("bce.bprop", labels, probs, dx, coeff=0.25, pos_weight=WEIGHT, accumulate=False)
    np.testing.assert_allclose(
        dx.astype(np.float64), [[-0.25 * WEIGHT / least, 0.25], [0.25 / least, -0.25 * WEIGHT]], rtol=1e-6
    )


def test_nan_is_wrong_whatever_is_right(run: Run) -> None:
    labels, probs = np.array([[1.0, 0, 1], [1, 0, 1]]), np.array([[np.nan, np.nan, 0.75], [0.75, 0.25, 0.25]])
    values = run_fprop(run, labels, probs)
    assert np.isnan(values[:, 0]).tolist() == [True, False]
    np.testing.assert_allclose(values[:, 1], [2 / 3, 1 / 3], rtol=1e-6)
    assert values[:, 2].tolist() == [1, 0]


def test_exactly_one_half_is_a_no(run: Run) -> None:
    values = run_fprop(run, np.array([[1.0, 0, 0.5, 0.5]]), np.array([[0.5, 0.5, 0.5, 0.75]]))
    assert values[0, 1] == 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_counts(run: Run, typed: Any, shape: tuple[int, int]) -> None:
    labels, probs = targets(shape), chances(shape)
    values = np.full((shape[0], 2 + 3 * shape[1]), -7, run.weights)
    run("bce.fprop_counts", labels.astype(typed), probs.astype(run.dtype), values, pos_weight=WEIGHT)
    assert values[:, :2].tobytes() == run_fprop(run, labels, probs)[:, :2].tobytes()
    declared, positive = probs > 0.5, labels > 0.5
    assert np.array_equal(values[:, 2:], np.concatenate([declared, positive, declared & positive], axis=1))


@pytest.mark.peer
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("through_logistic", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
def test_gradients(
    torch: Any, run: Run, typed: Any, shape: tuple[int, int], through_logistic: bool, accumulate: bool
) -> None:
    labels, probs = targets(shape), chances(shape)
    x = torch.tensor(np.log(probs / (1 - probs)) if through_logistic else probs, requires_grad=True)
    q, t = torch.sigmoid(x) if through_logistic else x, torch.tensor(labels)
    cost = -0.3 * (WEIGHT * t * torch.log(q) + (1 - t) * torch.log1p(-q)).sum()
    (gradient,) = torch.autograd.grad(cost, x)
    before = np.random.default_rng(8).normal(size=shape).astype(run.dtype)
    expected = gradient.numpy() + before.astype(np.float64) * accumulate
    dx = before.copy() if accumulate else np.full_like(before, np.nan)
    function = "bce.bprop_logistic" if through_logistic else "bce.bprop"
    run(function, labels.astype(typed), probs.astype(run.dtype), dx, coeff=0.3, pos_weight=WEIGHT,
        accumulate=accumulate)  # fmt: skip
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(dx.astype(np.float64), expected, rtol=tolerance, atol=min(tolerance, 2e-6))


def test_arrays_that_do_not_fit(run: Run) -> None:
    labels, probs = np.zeros((4, 5), run.weights), np.zeros((4, 5), run.dtype)
    with pytest.raises(ValueError, match=r"\(3, 5\), \(4, 5\), \(4, 3\)"):
        run("bce.fprop", labels[:3], probs, labels[:, :3], pos_weight=1.0)
    with pytest.raises(ValueError, match=r"\(4, 5\), \(4, 5\), \(4, 5\)"):
        run("bce.fprop_counts", labels, probs, labels, pos_weight=1.0)
    for function in ("bce.bprop", "bce.bprop_logistic"):
        with pytest.raises(ValueError, match=r"\(4, 5\), \(4, 5\), \(4, 3\)"):
            run(function, labels, probs, probs[:, :3], coeff=1.0, pos_weight=1.0, accumulate=False)
