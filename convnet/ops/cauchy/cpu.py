"""The Cauchy cost on the CPU, in parallel over cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.crossent import check_targets


def fprop(dev: CpuDevice, targets: Array, outputs: Array, values: Array) -> Launch:
    """values = sum log(1 + (y - t)^2) of each case. targets, outputs: (n, k); values: (n, 1)."""
    check_targets("cauchy", targets, outputs, values, (len(outputs), 1))
    return dev.parallel(_fprop, len(outputs), targets, outputs, values)


def bprop(dev: CpuDevice, targets: Array, outputs: Array, dx: Array, *, coeff: float, accumulate: bool) -> Launch:
    """dx (+)= the gradient with respect to the outputs. targets, outputs, dx: (n, k)."""
    check_targets("cauchy", targets, outputs, dx, outputs.shape)
    return dev.parallel(_bprop, len(outputs), targets, outputs, dx, outputs.dtype.type(coeff), accumulate)


@kernel
def _fprop(start: int, stop: int, targets: Array, outputs: Array, values: Array) -> None:
    for i in range(start, stop):
        total = 0.0
        for j in range(outputs.shape[1]):
            distance = outputs[i, j] - targets[i, j]
            total += np.log1p(distance * distance)
        values[i, 0] = total


@kernel
def _bprop(start: int, stop: int, targets: Array, outputs: Array, dx: Array, coeff: Any, accumulate: bool) -> None:
    for i in range(start, stop):
        for j in range(outputs.shape[1]):
            distance = outputs[i, j] - targets[i, j]
            gradient = coeff * (distance + distance) / (1 + distance * distance)
            dx[i, j] = dx[i, j] + gradient if accumulate else gradient
