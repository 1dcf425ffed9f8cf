"""Sum of squares on the CPU, in parallel over cases."""

from __future__ import annotations

from typing import Any

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel


def fprop(dev: CpuDevice, x: Array, values: Array) -> Launch:
    """values = the sum of squares of each case. x: (n, f); values: (n, 1)."""
    if values.shape != (len(x), 1):
        raise ValueError(f"sum2: values of shape {values.shape} for x of shape {x.shape}")
    return dev.parallel(_fprop, len(x), x, values)


def bprop(dev: CpuDevice, x: Array, dx: Array, *, coeff: float, accumulate: bool) -> Launch:
    """dx (+)= 2 coeff x. x, dx: (n, f)."""
    if dx.shape != x.shape:
        raise ValueError(f"sum2: dx of shape {dx.shape} for x of shape {x.shape}")
    return dev.parallel(_bprop, len(x), x, dx, x.dtype.type(2 * coeff), accumulate)


@kernel
def _fprop(start: int, stop: int, x: Array, values: Array) -> None:
    for i in range(start, stop):
        total = 0.0
        for j in range(x.shape[1]):
            total += x[i, j] * x[i, j]
        values[i, 0] = total


@kernel
def _bprop(start: int, stop: int, x: Array, dx: Array, factor: Any, accumulate: bool) -> None:
    for i in range(start, stop):
        for j in range(x.shape[1]):
            gradient = factor * x[i, j]
            dx[i, j] = dx[i, j] + gradient if accumulate else gradient
