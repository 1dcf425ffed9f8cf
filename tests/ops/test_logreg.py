"""The logistic regression cost against PyTorch, and its errors against every order that ties allow."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.special

from convnet.backends.cpu.device import Array, CpuDevice
from convnet.ops.logreg import cpu

TINY = float(np.finfo(np.float32).tiny)


@pytest.fixture
def dev() -> CpuDevice:
    return CpuDevice(threads=2)


def cases(n: int = 9, classes: int = 11) -> tuple[Array, Array, Array]:
    """Labels (n, 1), scores and their softmax (n, classes) in float64."""
    generator = np.random.default_rng(7)
    scores = generator.normal(size=(n, classes))
    labels = generator.integers(0, classes, (n, 1))
    labels[:2, 0] = 0, classes - 1
    return labels.astype(np.float64), scores, scipy.special.softmax(scores, axis=1)


def run_fprop(dev: CpuDevice, labels: Array, probs: Array, topk: int) -> Array:
    values = np.full((len(probs), 3), -7, probs.dtype)
    cpu.fprop(dev, labels.astype(probs.dtype), probs, values, topk=topk)()
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
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-6)])
def test_cost(torch: Any, dev: CpuDevice, dtype: str, tolerance: float) -> None:
    labels, scores, probs = cases()
    values = run_fprop(dev, labels, probs.astype(dtype), 1)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(scores), torch.tensor(labels[:, 0]).long(), reduction="none"
    )
    np.testing.assert_allclose(values[:, 0], expected.numpy(), rtol=tolerance)


@pytest.mark.parametrize("topk", [1, 2, 3, 5])
def test_errors_with_ties(dev: CpuDevice, topk: int) -> None:
    rows = [
        [0.2, 0.2, 0.2, 0.2, 0.2], [0.4, 0.3, 0.1, 0.1, 0.1], [0.3, 0.3, 0.3, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4, 0.0],
        [0.5, 0.2, 0.2, 0.1, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0],
    ]  # fmt: skip
    probs = np.repeat(np.array(rows, np.float32), 5, axis=0)
    labels = np.tile(np.arange(5), len(rows))[:, None]
    values = run_fprop(dev, labels, probs, topk)
    for case, label in enumerate(labels[:, 0]):
        assert values[case, 1] == pytest.approx(expected_error(probs[case], label, 1), abs=1e-6)
        assert values[case, 2] == pytest.approx(expected_error(probs[case], label, topk), abs=1e-6)


def test_a_probability_of_zero_costs_much_but_not_infinitely(dev: CpuDevice) -> None:
    labels = np.array([[0], [1]])
    probs = np.array([[1, 0], [1, TINY / 8]], np.float32)
    values = run_fprop(dev, labels, probs, 1)
    assert values[0, 0] == 0
    assert values[1, 0] == pytest.approx(-np.log(TINY), rel=1e-6)
    probs[0] = 0, 1
    dx = np.empty_like(probs)
    cpu.bprop(dev, labels.astype(np.float32), probs, dx, coeff=1.0, accumulate=False)()
    np.testing.assert_allclose(dx, [[-1 / TINY, 0], [0, -1 / TINY]], rtol=1e-6)


def test_nan_stays_nan_and_counts_as_an_error(dev: CpuDevice) -> None:
    probs = np.array([[np.nan, np.nan], [0.25, 0.75]], np.float32)
    values = run_fprop(dev, np.array([[1], [1]]), probs, 1)
    assert np.isnan(values[0, 0])
    assert values[0, 1:].tolist() == [1, 1]
    np.testing.assert_allclose(values[1], [-np.log(0.75), 0, 0], rtol=1e-6)


@pytest.mark.parametrize("label", [-1, 3, np.nan, 1e30])
def test_a_label_that_is_no_class(dev: CpuDevice, label: float) -> None:
    labels = np.array([[label], [0]], np.float32)
    probs = np.array([[0.5, 0.25, 0.25]] * 2, np.float32)
    values = run_fprop(dev, labels, probs, 1)
    assert np.isnan(values[0]).all()
    assert not np.isnan(values[1]).any()
    dx = np.empty_like(probs)
    cpu.bprop(dev, labels, probs, dx, coeff=1.0, accumulate=False)()
    assert dx.tolist() == [[0, 0, 0], [-2, 0, 0]]
    cpu.bprop_softmax(dev, labels, probs, dx, coeff=1.0, accumulate=False)()
    assert dx.tolist() == [[0.5, 0.25, 0.25], [-0.5, 0.25, 0.25]]


@pytest.mark.peer
@pytest.mark.parametrize("through_softmax", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
def test_gradients(
    torch: Any, dev: CpuDevice, through_softmax: bool, accumulate: bool, dtype: str, tolerance: float
) -> None:  # fmt: skip
    labels, scores, probs = cases()
    x = torch.tensor(scores if through_softmax else probs, requires_grad=True)
    logs = torch.log_softmax(x, 1) if through_softmax else torch.log(x)
    cost = 0.3 * torch.nn.functional.nll_loss(logs, torch.tensor(labels[:, 0]).long(), reduction="sum")
    (expected,) = torch.autograd.grad(cost, x)
    before = np.random.default_rng(8).normal(size=(9, 11))
    dx = before.astype(dtype)
    bprop = cpu.bprop_softmax if through_softmax else cpu.bprop
    bprop(dev, labels.astype(dtype), probs.astype(dtype), dx, coeff=0.3, accumulate=accumulate)()
    np.testing.assert_allclose(dx, expected.numpy() + before * accumulate, rtol=tolerance, atol=tolerance)


def test_arrays_that_do_not_fit(dev: CpuDevice) -> None:
    labels, probs, values = (np.zeros((4, columns), np.float32) for columns in (1, 5, 3))
    with pytest.raises(ValueError, match=r"\(3, 1\), \(4, 5\), \(4, 3\)"):
        cpu.fprop(dev, labels[:3], probs, values, topk=1)
    with pytest.raises(ValueError, match=r"\(4, 1\), \(4, 5\), \(4, 2\)"):
        cpu.fprop(dev, labels, probs, values[:, :2], topk=1)
    for bprop in (cpu.bprop, cpu.bprop_softmax):
        with pytest.raises(ValueError, match=r"\(4, 1\), \(4, 5\), \(4, 3\)"):
            bprop(dev, labels, probs, values, coeff=1.0, accumulate=False)
