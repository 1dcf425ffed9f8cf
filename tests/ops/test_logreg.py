"""The logistic regression cost against PyTorch, and its errors against every order that ties allow."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from .conftest import Run

Array = np.ndarray[Any, Any]

TOLERANCE = {"float64": 1e-13, "float32": 1e-6, "bfloat16": 2**-8}


def tiny(run: Run) -> float:
    """The smallest normal number of the run's type."""
    return 2.0**-1022 if run.dtype == np.float64 else 2.0**-126


def cases(n: int = 9, classes: int = 11) -> tuple[Array, Array]:
    """Labels (n, 1) and probabilities (n, classes): multiples of 2^-7, exact in every type, that add up to 1."""
    generator = np.random.default_rng(7)
    probs = (1 + generator.multinomial(128 - classes, np.ones(classes) / classes, n)) / 128
    labels = generator.integers(0, classes, (n, 1))
    labels[:2, 0] = 0, classes - 1
    return labels.astype(np.float64), probs


def smoothed(labels: Array, classes: int, smoothing: float) -> Array:
    """The targets (n, classes), with 2016's formula."""
    return (1 - smoothing) * (labels == np.arange(classes)) + smoothing / classes


def run_fprop(run: Run, labels: Array, probs: Array, topk: int, smoothing: float = 0.0) -> Array:
    values = np.full((len(probs), 3), -7, run.weights)
    run("logreg.fprop", labels.astype(run.weights), probs.astype(run.dtype), values, topk=topk, smoothing=smoothing)
    return values


def expected_error(probs: Array, label: int, places: int) -> float:
    """The share of the orders, ties broken in every way, in which `label` is not among the first `places`."""
    classes = range(len(probs))
    lost = 0
    breaks = list(itertools.permutations(classes))
    for tie_break in breaks:
        ranking = sorted(classes, key=lambda j: (-probs[j], tie_break[j]))
        lost += label not in ranking[:places]
    return lost / len(breaks)


@pytest.mark.peer
@pytest.mark.parametrize("classes", [11, 70])
def test_cost(torch: Any, run: Run, classes: int) -> None:
    """Costs are float32 at least, so that the type of the probabilities makes no difference."""
    labels, probs = cases(classes=classes)
    values = run_fprop(run, labels, probs, 1)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(np.log(probs)), torch.tensor(labels[:, 0]).long(), reduction="none"
    )
    np.testing.assert_allclose(values[:, 0], expected.numpy(), rtol=TOLERANCE[run.weights.name])


@pytest.mark.peer
@pytest.mark.parametrize(("classes", "smoothing"), [(11, 0.1), (70, 0.9), (300, 0.5)])
def test_smoothed_cost(torch: Any, run: Run, classes: int, smoothing: float) -> None:
    """PyTorch's is the same. The errors are those of the label itself."""
    probs = 2.0 ** -np.random.default_rng(9).integers(1, 20, (5, classes))
    labels = np.array([[0], [classes - 1], [3], [1], [5]])
    values = run_fprop(run, labels, probs, 2, smoothing)
    expected = -(smoothed(labels, classes, smoothing) * np.log(probs)).sum(axis=1)
    np.testing.assert_allclose(values[:, 0], expected, rtol=2 * TOLERANCE[run.weights.name])
    assert values[:, 1:].tobytes() == run_fprop(run, labels, probs, 2)[:, 1:].tobytes()
    probs /= probs.sum(axis=1, keepdims=True)
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(np.log(probs)), torch.tensor(labels[:, 0]), reduction="none", label_smoothing=smoothing
    )
    np.testing.assert_allclose(-(smoothed(labels, classes, smoothing) * np.log(probs)).sum(axis=1), theirs.numpy())


def test_without_smoothing_only_the_labels_class_counts_to_the_bit(run: Run) -> None:
    """As before there was any: no other class's NaN is seen, and each gradient is one product."""
    labels, probs = cases()
    probs[2, 0 if labels[2, 0] else 1] = np.nan
    values = run_fprop(run, labels, probs, 1)
    assert np.isfinite(values[:, 0]).all()
    assert np.isnan(run_fprop(run, labels, probs, 1, 0.1)[2, 0])
    held, dx = cases()[1].astype(run.dtype), np.empty((9, 11), run.dtype)
    for function in ("logreg.bprop", "logreg.bprop_softmax"):
        run(function, labels.astype(run.weights), held, dx, coeff=0.5, smoothing=0.0, accumulate=False)
        right = (labels == np.arange(11)).astype(run.weights)
        if function == "logreg.bprop":
            expected = np.where(right, run.weights.type(-0.5) / held.astype(run.weights), run.weights.type(0))
        else:
            expected = run.weights.type(0.5) * (held.astype(run.weights) - right)
        assert dx.tobytes() == expected.astype(run.dtype).tobytes()


@pytest.mark.parametrize("topk", [1, 2, 3, 5])
def test_errors_with_ties(run: Run, topk: int) -> None:
    rows = [
        [0.2, 0.2, 0.2, 0.2, 0.2], [0.4, 0.3, 0.1, 0.1, 0.1], [0.3, 0.3, 0.3, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4, 0.0],
        [0.5, 0.2, 0.2, 0.1, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0],
    ]  # fmt: skip
    probs = np.repeat(np.array(rows, run.dtype), 5, axis=0)
    labels = np.tile(np.arange(5), len(rows))[:, None]
    values = run_fprop(run, labels, probs, topk)
    for case, label in enumerate(labels[:, 0]):
        assert values[case, 1] == pytest.approx(expected_error(probs[case], label, 1), abs=1e-6)
        assert values[case, 2] == pytest.approx(expected_error(probs[case], label, topk), abs=1e-6)


@pytest.mark.parametrize("classes", [33, 300])
def test_errors_among_many_classes(run: Run, classes: int) -> None:
    """Ranks by sorting: with no ties among the first ten, and with all others alike."""
    probs = np.full((classes, classes), 2.0**-10, run.dtype)
    first = np.linspace(classes - 1, 0, 10).astype(int)
    probs[:, first] = 2.0 ** -np.arange(1, 11) * (1 + 2.0**-3)
    values = run_fprop(run, np.arange(classes)[:, None], probs, 5)
    assert set(np.flatnonzero(values[:, 1] == 0)) == {first[0]}
    assert set(np.flatnonzero(values[:, 2] == 0)) == set(first[:5])
    assert (values[:, 2][values[:, 2] != 0] == 1).all()


def test_a_probability_of_zero_costs_much_but_not_infinitely(run: Run) -> None:
    labels, least = np.array([[0], [1]]), tiny(run)
    probs = np.array([[1, 0], [1, least / 8]], run.dtype)
    values = run_fprop(run, labels, probs, 1)
    assert values[0, 0] == 0
    assert values[1, 0] == pytest.approx(-np.log(least), rel=1e-6)
    probs[0] = 0, 1
    dx = np.empty_like(probs)
    run("logreg.bprop", labels.astype(run.weights), probs, dx, coeff=1.0, smoothing=0.0, accumulate=False)
    np.testing.assert_allclose(dx.astype(np.float64), [[-1 / least, 0], [0, -1 / least]], rtol=1e-6)


def test_nan_stays_nan_and_counts_as_an_error(run: Run) -> None:
    probs = np.array([[np.nan, np.nan], [0.25, 0.75]])
    values = run_fprop(run, np.array([[1], [1]]), probs, 1)
    assert np.isnan(values[0, 0])
    assert values[0, 1:].tolist() == [1, 1]
    np.testing.assert_allclose(values[1], [-np.log(0.75), 0, 0], rtol=1e-6)


@pytest.mark.parametrize("label", [-1, 3, np.nan, 1e30])
def test_a_label_that_is_no_class(run: Run, label: float) -> None:
    labels = np.array([[label], [0]], run.weights)
    probs = np.array([[0.5, 0.25, 0.25]] * 2, run.dtype)
    values = run_fprop(run, labels, probs, 1)
    assert np.isnan(values[0]).all()
    assert not np.isnan(values[1]).any()
    dx = np.empty_like(probs)
    run("logreg.bprop", labels, probs, dx, coeff=1.0, smoothing=0.0, accumulate=False)
    assert dx.tolist() == [[0, 0, 0], [-2, 0, 0]]
    run("logreg.bprop_softmax", labels, probs, dx, coeff=1.0, smoothing=0.0, accumulate=False)
    assert dx.tolist() == [[0.5, 0.25, 0.25], [-0.5, 0.25, 0.25]]
    run("logreg.bprop_softmax", labels, probs, dx, coeff=1.0, smoothing=0.75, accumulate=False)
    assert dx.tolist() == [[0.25, 0, 0], [0, 0, 0]]


@pytest.mark.peer
@pytest.mark.parametrize("through_softmax", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_gradients(torch: Any, run: Run, through_softmax: bool, accumulate: bool, smoothing: float) -> None:
    labels, probs = cases()
    x = torch.tensor(np.log(probs) if through_softmax else probs, requires_grad=True)
    logs = torch.log_softmax(x, 1) if through_softmax else torch.log(x)
    cost = -0.3 * (torch.tensor(smoothed(labels, 11, smoothing)) * logs).sum()
    (gradient,) = torch.autograd.grad(cost, x)
    before = np.random.default_rng(8).normal(size=(9, 11)).astype(run.dtype)
    expected = gradient.numpy() + before.astype(np.float64) * accumulate
    dx = before.copy() if accumulate else np.full_like(before, np.nan)
    function = "logreg.bprop_softmax" if through_softmax else "logreg.bprop"
    run(function, labels.astype(run.weights), probs.astype(run.dtype), dx, coeff=0.3, smoothing=smoothing,
        accumulate=accumulate)  # fmt: skip
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(dx.astype(np.float64), expected, rtol=tolerance, atol=min(tolerance, 1e-6))


def test_arrays_that_do_not_fit(run: Run) -> None:
    labels, values = np.zeros((4, 1), run.weights), np.zeros((4, 3), run.weights)
    probs = np.zeros((4, 5), run.dtype)
    with pytest.raises(ValueError, match=r"\(3, 1\), \(4, 5\), \(4, 3\)"):
        run("logreg.fprop", labels[:3], probs, values, topk=1, smoothing=0.0)
    with pytest.raises(ValueError, match=r"\(4, 1\), \(4, 5\), \(4, 2\)"):
        run("logreg.fprop", labels, probs, values[:, :2], topk=1, smoothing=0.0)
    for function in ("logreg.bprop", "logreg.bprop_softmax"):
        with pytest.raises(ValueError, match=r"\(4, 1\), \(4, 5\), \(4, 3\)"):
            run(function, labels, probs, values, coeff=1.0, smoothing=0.0, accumulate=False)
