"""Cross-entropy on the CPU, in parallel over cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.crossent import check_targets
from convnet.ops.eltwise.cpu import larger


def fprop(dev: CpuDevice, labels: Array, probs: Array, values: Array) -> Launch:
    """values = -sum t log q, error of each case. labels, probs: (n, k); values: (n, 2)."""
    check_targets("crossent", labels, probs, values, (len(probs), 2))
    return dev.parallel(_fprop, len(probs), labels, probs, values, np.finfo(probs.dtype).tiny)


def bprop(dev: CpuDevice, labels: Array, probs: Array, dx: Array, *, coeff: float, accumulate: bool) -> Launch:
    """dx (+)= the gradient with respect to the probabilities. labels, probs, dx: (n, k)."""
    check_targets("crossent", labels, probs, dx, probs.shape)
    return dev.parallel(_bprop, len(probs), labels, probs, dx, coeff, np.finfo(probs.dtype).tiny, accumulate)


def bprop_softmax(dev: CpuDevice, labels: Array, probs: Array, dx: Array, *, coeff: float, accumulate: bool) -> Launch:
    """dx (+)= the gradient with respect to the input of the softmax. labels, probs, dx: (n, k)."""
    check_targets("crossent", labels, probs, dx, probs.shape)
    return dev.parallel(_bprop_softmax, len(probs), labels, probs, dx, coeff, accumulate)


@kernel
def most_probable_error(labels: Array, probs: Array, i: int) -> float:
    """The share of the most probable classes of case i that are not among those with the largest target."""
    most, largest = probs[i, 0], labels[i, 0]
    for j in range(probs.shape[1]):
        most, largest = larger(most, probs[i, j]), larger(largest, labels[i, j])
    equal = right = 0
    for j in range(probs.shape[1]):
        here = probs[i, j] == most
        equal += here
        right += here and largest > 0 and labels[i, j] == largest
    return 1.0 - right / equal if equal else 1.0


@kernel
def _fprop(start: int, stop: int, labels: Array, probs: Array, values: Array, tiny: Any) -> None:
    for i in range(start, stop):
        total = 0.0
        for j in range(probs.shape[1]):
            total += labels[i, j] * np.log(max(probs[i, j], tiny))
        values[i, 0] = -total
        values[i, 1] = most_probable_error(labels, probs, i)


@kernel
def _bprop(
    start: int, stop: int, labels: Array, probs: Array, dx: Array, coeff: float, tiny: Any, accumulate: bool
) -> None:
    for i in range(start, stop):
        for j in range(probs.shape[1]):
            gradient = -coeff * labels[i, j] / max(probs[i, j], tiny)
            dx[i, j] = dx[i, j] + gradient if accumulate else gradient


@kernel
def _bprop_softmax(
    start: int, stop: int, labels: Array, probs: Array, dx: Array, coeff: float, accumulate: bool
) -> None:
    for i in range(start, stop):
        total = 0.0
        for j in range(probs.shape[1]):
            total += labels[i, j]
        for j in range(probs.shape[1]):
            gradient = coeff * (probs[i, j] * total - labels[i, j])
            dx[i, j] = dx[i, j] + gradient if accumulate else gradient
