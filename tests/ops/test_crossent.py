"""The cross-entropy cost against float64 and PyTorch, and its error against a count of all ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .conftest import Run

Array = np.ndarray[Any, Any]

TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 2**-8}
SHAPES = [(9, 11), (5, 64), (3, 1), (2, 301)]


def tiny(run: Run) -> float:
    """The smallest normal number of the run's type."""
    return 2.0**-1022 if run.dtype == np.float64 else 2.0**-126


def parts(shape: tuple[int, int], seed: int) -> Array:
    """Multiples of a power of two, exact in every type, that add up to 1 in each case; none is 0."""
    cases, classes = shape
    total = 1 << classes.bit_length()
    drawn = np.random.default_rng(seed).multinomial(total - classes, np.ones(classes) / classes, cases)
    return (1 + drawn) / total


def targets(shape: tuple[int, int]) -> Array:
    """A choice, several, none, and distributions, in turn."""
    found = parts(shape, 3)
    found[::4] = np.arange(shape[1]) == shape[1] // 2
    found[1::4] = np.arange(shape[1]) % 3 == 0
    found[2::4] = 0
    return found


def run_fprop(run: Run, labels: Array, probs: Array, dtype: Any = None) -> Array:
    values = np.full((len(probs), 2), -7, run.weights)
    run("crossent.fprop", labels.astype(dtype or run.weights), probs.astype(run.dtype), values)
    return values


@pytest.mark.parametrize("shape", SHAPES)
def test_cost(run: Run, typed: Any, shape: tuple[int, int]) -> None:
    labels, probs = targets(shape), parts(shape, 4)
    values = run_fprop(run, labels, probs, typed)
    expected = -(labels * np.log(probs)).sum(axis=1)
    np.testing.assert_allclose(values[:, 0], expected, rtol=TOLERANCE[run.weights.name], atol=1e-30)


def expected_error(labels: Array, probs: Array) -> float:
    best = [j for j in range(len(probs)) if probs[j] == max(probs)]
    wrong = [j for j in best if labels[j] < max(labels) or labels[j] <= 0]
    return len(wrong) / len(best)


def test_errors_with_ties(run: Run) -> None:
    rows = [
        [0.25, 0.25, 0.25, 0.25],
        [0.5, 0.5, 0, 0],
        [0.125, 0.5, 0.25, 0.125],
        [0, 0, 0, 1],
        [0, 0.375, 0.25, 0.375],
    ]
    wanted = [[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [0.125, 0.5, 0.25, 0.125], [-1, 0, -1, -1]]
    probs, labels = np.repeat(np.array(rows), len(wanted), axis=0), np.tile(np.array(wanted), (len(rows), 1))
    errors = run_fprop(run, labels, probs)[:, 1]
    expected = [expected_error(*pair) for pair in zip(labels, probs, strict=True)]
    assert len(set(expected)) > 3
    np.testing.assert_allclose(errors, expected, rtol=1e-6)


@pytest.mark.parametrize("classes", [33, 300])
def test_error_among_many_classes(run: Run, classes: int) -> None:
    probs, labels = np.full((classes, classes), 2.0**-10), np.eye(classes)
    probs[:, classes - 2] = 2.0**-9
    errors = run_fprop(run, labels, probs)[:, 1]
    assert np.flatnonzero(errors == 0).tolist() == [classes - 2]
    assert np.delete(errors, classes - 2).tolist() == [1] * (classes - 1)


def test_a_probability_of_zero_costs_much_but_not_infinitely(run: Run) -> None:
    least = tiny(run)
    labels, probs = np.array([[1, 0], [0, 0.5]], run.weights), np.array([[least / 8, 1], [1, 0]], run.dtype)
    values = run_fprop(run, labels, probs)
    np.testing.assert_allclose(values[:, 0], [-np.log(least), -np.log(least) / 2], rtol=1e-6)
    dx = np.empty_like(probs)
    run("crossent.bprop", labels, probs, dx, coeff=1.0, accumulate=False)
    np.testing.assert_allclose(dx.astype(np.float64), [[-1 / least, 0], [0, -0.5 / least]], rtol=1e-6)


@pytest.mark.parametrize("place", [0, 1, 39])
def test_nan_stays_nan_and_counts_as_an_error(run: Run, place: int) -> None:
    probs, labels = np.full((3, 40), 2.0**-6), np.ones((3, 40))
    probs[1, place] = np.nan
    values = run_fprop(run, labels, probs)
    assert np.isnan(values[:, 0]).tolist() == [False, True, False]
    assert values[:, 1].tolist() == [0, 1, 0]


@pytest.mark.peer
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("through_softmax", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
def test_gradients(
    torch: Any, run: Run, typed: Any, shape: tuple[int, int], through_softmax: bool, accumulate: bool
) -> None:
    labels, probs = targets(shape), parts(shape, 4)
    x = torch.tensor(np.log(probs) if through_softmax else probs, requires_grad=True)
    logs = torch.log_softmax(x, 1) if through_softmax else torch.log(x)
    (gradient,) = torch.autograd.grad(-0.3 * (torch.tensor(labels) * logs).sum(), x)
    before = np.random.default_rng(8).normal(size=shape).astype(run.dtype)
    expected = gradient.numpy() + before.astype(np.float64) * accumulate
    dx = before.copy() if accumulate else np.full_like(before, np.nan)
    function = "crossent.bprop_softmax" if through_softmax else "crossent.bprop"
    run(function, labels.astype(typed), probs.astype(run.dtype), dx, coeff=0.3, accumulate=accumulate)
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(dx.astype(np.float64), expected, rtol=tolerance, atol=min(tolerance, 2e-6))


def test_a_case_without_a_label_gives_no_gradient(run: Run) -> None:
    labels, probs = np.zeros((2, 3), run.weights), np.full((2, 3), 0.25, run.dtype)
    for function in ("crossent.bprop", "crossent.bprop_softmax"):
        dx = np.full_like(probs, np.nan)
        run(function, labels, probs, dx, coeff=1.0, accumulate=False)
        assert not dx.any()


def test_arrays_that_do_not_fit(run: Run) -> None:
    labels, probs = np.zeros((4, 5), run.weights), np.zeros((4, 5), run.dtype)
    with pytest.raises(ValueError, match=r"\(3, 5\), \(4, 5\), \(4, 2\)"):
        run("crossent.fprop", labels[:3], probs, labels[:, :2])
    with pytest.raises(ValueError, match=r"\(4, 5\), \(4, 5\), \(4, 3\)"):
        run("crossent.fprop", labels, probs, labels[:, :3])
    for function in ("crossent.bprop", "crossent.bprop_softmax"):
        with pytest.raises(ValueError, match=r"\(4, 5\), \(4, 5\), \(4, 3\)"):
            run(function, labels, probs, probs[:, :3], coeff=1.0, accumulate=False)
