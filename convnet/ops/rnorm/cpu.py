"""Response normalization within maps, on the CPU: row by row, as the window needs."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.rnorm import Normalization
from convnet.ops.rnorm.cpu_power import gradient, product
from convnet.ops.rnorm.cpu_window import box_sums, denominators, planes, pulls_of


def fprop(dev: CpuDevice, x: Array, y: Array, norm: Normalization) -> Launch:
    """y = x * d^-power."""
    cases, height, _, channels = x.shape
    return dev.parallel(
        _fprop, cases * height, *planes(x, y), channels, norm.size, norm.alpha, norm.power, norm.min_div
    )


def bprop(dev: CpuDevice, dy: Array, x: Array, dx: Array, norm: Normalization, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop."""
    arrays = planes(dy, x, dx)
    parts = min(dev.threads, len(x))
    scratch = dev.workspace.reserve((2, parts, *arrays[0].shape[1:]), x.dtype)
    return dev.parallel(
        _bprop, parts, *arrays, lambda: scratch()[0], lambda: scratch()[1],
        x.shape[3], norm.size, norm.alpha, norm.power, norm.min_div, accumulate,
    )  # fmt: skip


@kernel
def _fprop(
    start: int, stop: int, x: Array, y: Array, channels: int, size: int, alpha: float, power: float, min_div: float
) -> None:
    """Items are the rows of all cases."""
    height, width = x.shape[1:]
    line = np.empty(width + (size - 1) * channels, x.dtype)
    inverse = np.empty(width, x.dtype)
    factor = np.empty((1, width), x.dtype)
    for item in range(start, stop):
        case, row = divmod(item, height)
        denominators(x[case], row, channels, size, alpha, power, min_div, line, inverse, factor[0])
        product(x[case, row : row + 1], factor, y[case, row : row + 1])


@kernel
def _bprop(
    start: int, stop: int, dy: Array, x: Array, dx: Array, factors: Array, pulls: Array,
    channels: int, size: int, alpha: float, power: float, min_div: float, accumulate: bool,
) -> None:  # fmt: skip
    """Items are parts of the cases, each with a plane of its own in factors and pulls."""
    cases, parts = len(x), len(factors)
    for part in range(start, stop):
        for case in range(cases * part // parts, cases * (part + 1) // parts):
            pulls_of(dy[case], x[case], x[case], factors[part], pulls[part], channels, size, alpha, power, min_div)
            _collect(dy[case], x[case], factors[part], pulls[part], dx[case],
                     channels, size, -2 * alpha * power, accumulate)  # fmt: skip


@kernel
def _collect(
    dy: Array, x: Array, factor: Array, pulls: Array, dx: Array,
    channels: int, size: int, slope: float, accumulate: bool,
) -> None:  # fmt: skip
    """dx of one case: each pixel is in the windows that begin size - 1 - size // 2 before it."""
    height, width = x.shape
    line = np.empty(width + (size - 1) * channels, x.dtype)
    sums = np.empty((1, width), x.dtype)
    for row in range(height):
        box_sums(pulls, row, channels, size, size - 1 - size // 2, False, line, sums[0])
        here = slice(row, row + 1)
        gradient(dy[here], x[here], factor[here], sums, slope, accumulate, dx[here])
