"""Binary cross-entropy on the CPU, in parallel over cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.crossent import check_targets
from convnet.ops.crossent.cpu import most_probable_error


def fprop(dev: CpuDevice, labels: Array, probs: Array, values: Array, *, pos_weight: float) -> Launch:
    """values = cost, share of wrong numbers, top-1 error of each case. labels, probs: (n, k); values: (n, 3)."""
    check_targets("bce", labels, probs, values, (len(probs), 3))
    return dev.parallel(_fprop, len(probs), labels, probs, values, pos_weight, np.finfo(probs.dtype).tiny)


def fprop_counts(dev: CpuDevice, labels: Array, probs: Array, values: Array, *, pos_weight: float) -> Launch:
    """values = cost, share of wrong numbers, counts of each case. labels, probs: (n, k); values: (n, 2 + 3k)."""
    check_targets("bce", labels, probs, values, (len(probs), 2 + 3 * probs.shape[-1]))
    return dev.parallel(_fprop_counts, len(probs), labels, probs, values, pos_weight, np.finfo(probs.dtype).tiny)


def bprop(
    dev: CpuDevice, labels: Array, probs: Array, dx: Array, *, coeff: float, pos_weight: float, accumulate: bool
) -> Launch:
    """dx (+)= the gradient with respect to the probabilities. labels, probs, dx: (n, k)."""
    check_targets("bce", labels, probs, dx, probs.shape)
    tiny = np.finfo(probs.dtype).tiny
    return dev.parallel(_bprop, len(probs), labels, probs, dx, coeff, pos_weight, tiny, accumulate)


def bprop_logistic(
    dev: CpuDevice, labels: Array, probs: Array, dx: Array, *, coeff: float, pos_weight: float, accumulate: bool
) -> Launch:
    """dx (+)= the gradient with respect to the input of the logistic neuron. labels, probs, dx: (n, k)."""
    check_targets("bce", labels, probs, dx, probs.shape)
    return dev.parallel(_bprop_logistic, len(probs), labels, probs, dx, coeff, pos_weight, accumulate)


@kernel
def _cost(labels: Array, probs: Array, i: int, pos_weight: float, tiny: Any) -> float:
    total = 0.0
    for j in range(probs.shape[1]):
        t, q = labels[i, j], probs[i, j]
        no = np.log1p(-q) if q < 0.5 else np.log(max(1 - q, tiny))
        total += pos_weight * t * np.log(max(q, tiny)) + (1 - t) * no
    return -total


@kernel
def _wrong(labels: Array, probs: Array, i: int) -> float:
    """The share of wrong numbers; NaN is wrong."""
    wrong = 0
    for j in range(probs.shape[1]):
        wrong += not (probs[i, j] > 0.5 if labels[i, j] > 0.5 else probs[i, j] <= 0.5)
    return wrong / probs.shape[1]


@kernel
def _fprop(start: int, stop: int, labels: Array, probs: Array, values: Array, pos_weight: float, tiny: Any) -> None:
    for i in range(start, stop):
        values[i, 0] = _cost(labels, probs, i, pos_weight, tiny)
        values[i, 1] = _wrong(labels, probs, i)
        values[i, 2] = most_probable_error(labels, probs, i)


@kernel
def _fprop_counts(
    start: int, stop: int, labels: Array, probs: Array, values: Array, pos_weight: float, tiny: Any
) -> None:
    classes = probs.shape[1]
    for i in range(start, stop):
        values[i, 0] = _cost(labels, probs, i, pos_weight, tiny)
        values[i, 1] = _wrong(labels, probs, i)
        for j in range(classes):
            declared, positive = probs[i, j] > 0.5, labels[i, j] > 0.5
            values[i, 2 + j] = declared
            values[i, 2 + classes + j] = positive
            values[i, 2 + 2 * classes + j] = declared and positive


@kernel
def _bprop(
    start: int, stop: int, labels: Array, probs: Array, dx: Array, coeff: float, pos_weight: float, tiny: Any,
    accumulate: bool,
) -> None:  # fmt: skip
    for i in range(start, stop):
        for j in range(probs.shape[1]):
            t, q = labels[i, j], probs[i, j]
            gradient = coeff * ((1 - t) / max(1 - q, tiny) - pos_weight * t / max(q, tiny))
            dx[i, j] = dx[i, j] + gradient if accumulate else gradient


@kernel
def _bprop_logistic(
    start: int, stop: int, labels: Array, probs: Array, dx: Array, coeff: float, pos_weight: float, accumulate: bool
) -> None:
    for i in range(start, stop):
        for j in range(probs.shape[1]):
            t, q = labels[i, j], probs[i, j]
            gradient = coeff * ((1 - t) * q - pos_weight * t * (1 - q))
            dx[i, j] = dx[i, j] + gradient if accumulate else gradient
