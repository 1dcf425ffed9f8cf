"""Softmax on the CPU: one case after the other, in parallel over cases."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel


def fprop(dev: CpuDevice, x: Array, y: Array) -> Launch:
    """y = softmax(x) along the classes. x, y: (n, k)."""
    _check_alike(x, y)
    return dev.parallel(_fprop, len(x), x, y)


def bprop(dev: CpuDevice, dy: Array, y: Array, dx: Array, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient with respect to the scores. dy, y, dx: (n, k)."""
    _check_alike(dy, y, dx)
    return dev.parallel(_bprop, len(y), dy, y, dx, accumulate)


def _check_alike(*arrays: Array) -> None:
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) != 1:
        raise ValueError(f"softmax: arrays of shapes {shapes} do not fit together")


@kernel
def _fprop(start: int, stop: int, x: Array, y: Array) -> None:
    for i in range(start, stop):
        largest = x[i, 0]
        for j in range(x.shape[1]):
            largest = max(largest, x[i, j])
        total = 0.0
        for j in range(x.shape[1]):
            y[i, j] = np.exp(x[i, j] - largest)
            total += y[i, j]
        for j in range(x.shape[1]):
            y[i, j] /= total


@kernel
def _bprop(start: int, stop: int, dy: Array, y: Array, dx: Array, accumulate: bool) -> None:
    for i in range(start, stop):
        mean = 0.0
        for j in range(y.shape[1]):
            mean += dy[i, j] * y[i, j]
        for j in range(y.shape[1]):
            gradient = y[i, j] * (dy[i, j] - mean)
            dx[i, j] = dx[i, j] + gradient if accumulate else gradient
