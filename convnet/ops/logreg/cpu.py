"""Multinomial logistic regression on the CPU, in parallel over cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.ops.logreg import targets


def fprop(dev: CpuDevice, labels: Array, probs: Array, values: Array, *, topk: int, smoothing: float) -> Launch:
    """values = -sum t log p, top-1 error, top-k error of each case. labels: (n, 1); probs: (n, k); values: (n, 3)."""
    _check(labels, probs, values, (len(probs), 3))
    return dev.parallel(_fprop, len(probs), labels, probs, values, topk, smoothing, np.finfo(probs.dtype).tiny)


def bprop(
    dev: CpuDevice, labels: Array, probs: Array, dx: Array, *, coeff: float, smoothing: float, accumulate: bool
) -> Launch:
    """dx (+)= the gradient with respect to the probabilities. labels: (n, 1); probs, dx: (n, k)."""
    _check(labels, probs, dx, probs.shape)
    goals, tiny = targets(probs.shape[1], smoothing), np.finfo(probs.dtype).tiny
    return dev.parallel(_bprop, len(probs), labels, probs, dx, coeff, *goals, tiny, accumulate)


def bprop_softmax(
    dev: CpuDevice, labels: Array, probs: Array, dx: Array, *, coeff: float, smoothing: float, accumulate: bool
) -> Launch:
    """dx (+)= the gradient with respect to the input of the softmax. labels: (n, 1); probs, dx: (n, k)."""
    _check(labels, probs, dx, probs.shape)
    factors = map(probs.dtype.type, (coeff, *targets(probs.shape[1], smoothing)))
    return dev.parallel(_bprop_softmax, len(probs), labels, probs, dx, *factors, accumulate)


def _check(labels: Array, probs: Array, target: Array, expected: tuple[int, ...]) -> None:
    if labels.shape != (len(probs), 1) or target.shape != expected:
        shapes = labels.shape, probs.shape, target.shape
        raise ValueError(f"logreg: labels, probabilities and target of shapes {shapes} do not fit together")


@inlined
def _top_error(greater: int, equal: int, places: int) -> float:
    """The chance that a class does not get one of `places` places, when it shares its rank with `equal` classes."""
    if equal == 0:  # its probability is NaN
        return 1.0
    return 1.0 - min(1.0, max(0.0, (places - greater) / equal))


@inlined
def _sum_of_logs(probs: Array, i: int, tiny: Any) -> float:
    total = 0.0
    for j in range(probs.shape[1]):
        total += np.log(max(probs[i, j], tiny))
    return total


@kernel
def _fprop(
    start: int, stop: int, labels: Array, probs: Array, values: Array, topk: int, smoothing: float, tiny: Any
) -> None:
    classes = probs.shape[1]
    for i in range(start, stop):
        if not 0 <= labels[i, 0] < classes:
            values[i, :] = np.nan
            continue
        p = probs[i, int(labels[i, 0])]
        greater = equal = 0
        for j in range(classes):
            greater += probs[i, j] > p
            equal += probs[i, j] == p
        values[i, 0] = -np.log(max(p, tiny))  # NaN stays: max takes its first where neither is greater
        if smoothing > 0:
            values[i, 0] = (1 - smoothing) * values[i, 0] - smoothing / classes * _sum_of_logs(probs, i, tiny)
        values[i, 1] = _top_error(greater, equal, 1)
        values[i, 2] = _top_error(greater, equal, topk)


@kernel
def _bprop(
    start: int, stop: int, labels: Array, probs: Array, dx: Array, coeff: float, right: float, others: float, tiny: Any,
    accumulate: bool,
) -> None:  # fmt: skip
    for i in range(start, stop):
        for j in range(probs.shape[1]):
            if not accumulate:
                dx[i, j] = 0
            target = right if j == labels[i, 0] else others
            if target > 0:
                dx[i, j] -= coeff * target / max(probs[i, j], tiny)


@kernel
def _bprop_softmax(
    start: int, stop: int, labels: Array, probs: Array, dx: Array, coeff: Any, right: Any, others: Any,
    accumulate: bool,
) -> None:  # fmt: skip
    for i in range(start, stop):
        for j in range(probs.shape[1]):
            gradient = coeff * (probs[i, j] - (right if j == labels[i, 0] else others))
            dx[i, j] = dx[i, j] + gradient if accumulate else gradient
