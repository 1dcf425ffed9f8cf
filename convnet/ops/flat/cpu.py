"""Plain arithmetic on flat arrays, on the CPU."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel


def add(dev: CpuDevice, x: Array, y: Array) -> Launch:
    """y += x."""
    if x.shape != y.shape:
        raise ValueError(f"flat: x of shape {x.shape}, y of shape {y.shape}")
    return dev.parallel(_add, x.size, x, y)


def clear(dev: CpuDevice, y: Array) -> Launch:
    """y = 0."""
    return dev.parallel(_clear, y.size, y)


@kernel
def _add(start: int, stop: int, x: Array, y: Array) -> None:
    for i in range(start, stop):
        y[i] += x[i]


@kernel
def _clear(start: int, stop: int, y: Array) -> None:
    for i in range(start, stop):
        y[i] = 0
