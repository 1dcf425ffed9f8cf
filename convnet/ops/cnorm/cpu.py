"""Contrast normalization on the CPU: one case after the other, in planes (y, x*channel) of scratch memory."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.rnorm import Normalization
from convnet.ops.rnorm.cpu_power import product
from convnet.ops.rnorm.cpu_window import box_sums, denominators, planes, pulls_of


def fprop(dev: CpuDevice, x: Array, y: Array, norm: Normalization) -> Launch:
    """y = x * d^-power."""
    arrays = planes(x, y)
    parts = min(dev.threads, len(x))
    centred = dev.workspace.reserve((parts, *arrays[0].shape[1:]), x.dtype)
    return dev.parallel(_fprop, parts, *arrays, centred, x.shape[3], norm.size, norm.alpha, norm.power, norm.min_div)


def bprop(dev: CpuDevice, dy: Array, x: Array, dx: Array, norm: Normalization, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop."""
    arrays = planes(dy, x, dx)
    parts = min(dev.threads, len(x))
    scratch = dev.workspace.reserve((3, parts, *arrays[0].shape[1:]), x.dtype)
    return dev.parallel(
        _bprop, parts, *arrays, lambda: scratch()[0], lambda: scratch()[1], lambda: scratch()[2],
        x.shape[3], norm.size, norm.alpha, norm.power, norm.min_div, accumulate,
    )  # fmt: skip


@kernel
def _fprop(
    start: int, stop: int, x: Array, y: Array, centred: Array,
    channels: int, size: int, alpha: float, power: float, min_div: float,
) -> None:  # fmt: skip
    """Items are parts of the cases, each with a plane of its own in centred."""
    cases, height, width = x.shape
    parts = len(centred)
    line = np.empty(width + (size - 1) * channels, x.dtype)
    inverse = np.empty(width, x.dtype)
    factor = np.empty((1, width), x.dtype)
    for part in range(start, stop):
        for case in range(cases * part // parts, cases * (part + 1) // parts):
            _centre(x[case], centred[part], channels, size)
            for row in range(height):
                denominators(centred[part], row, channels, size, alpha, power, min_div, line, inverse, factor[0])
                product(x[case, row : row + 1], factor, y[case, row : row + 1])


@kernel
def _bprop(
    start: int, stop: int, dy: Array, x: Array, dx: Array, centred: Array, factors: Array, pulls: Array,
    channels: int, size: int, alpha: float, power: float, min_div: float, accumulate: bool,
) -> None:  # fmt: skip
    """Items are parts of the cases, each with a plane of its own in centred, factors and pulls."""
    cases, parts = len(x), len(centred)
    for part in range(start, stop):
        m, factor, pull = centred[part], factors[part], pulls[part]
        for case in range(cases * part // parts, cases * (part + 1) // parts):
            _centre(x[case], m, channels, size)
            pulls_of(dy[case], x[case], m, factor, pull, channels, size, alpha, power, min_div)
            _centred_gradient(pull, m, channels, size, -2 * alpha * power)
            _share_out(m, pull, channels, size)
            _collect(dy[case], factor, m, pull, dx[case], channels, size, accumulate)


@kernel
def _centre(x: Array, m: Array, channels: int, size: int) -> None:
    """m = x - mean of the window, for one case."""
    height, width = x.shape
    line = np.empty(width + (size - 1) * channels, x.dtype)
    share = np.empty(width, x.dtype)
    sums = np.empty(width, x.dtype)
    for row in range(height):
        _shares(row, height, channels, size, share)
        box_sums(x, row, channels, size, size // 2, False, line, sums)
        for i in range(width):
            m[row, i] = x[row, i] - sums[i] * share[i]


@kernel
def _shares(row: int, height: int, channels: int, size: int, share: Array) -> None:
    """share = 1 / number of pixels in the window around each element of a row."""
    columns = share.size // channels
    rows = _inside(row, height, size)
    for column in range(columns):
        share[column * channels : (column + 1) * channels] = 1 / (rows * _inside(column, columns, size))


@kernel
def _inside(centre: int, image: int, size: int) -> int:
    """How many pixels of the window around `centre` are inside the image, along one axis."""
    begin = centre - size // 2
    return min(begin + size, image) - max(begin, 0)


@kernel
def _centred_gradient(pulls: Array, m: Array, channels: int, size: int, slope: float) -> None:
    """m = the gradient r with respect to m, which it replaces, for one case."""
    height, width = m.shape
    line = np.empty(width + (size - 1) * channels, m.dtype)
    sums = np.empty(width, m.dtype)
    coefficient = m.dtype.type(slope)
    for row in range(height):
        box_sums(pulls, row, channels, size, size - 1 - size // 2, False, line, sums)
        for i in range(width):
            m[row, i] *= coefficient * sums[i]


@kernel
def _share_out(r: Array, shared: Array, channels: int, size: int) -> None:
    """shared = r divided by the number of pixels in the window, for one case."""
    height, width = r.shape
    share = np.empty(width, r.dtype)
    for row in range(height):
        _shares(row, height, channels, size, share)
        for i in range(width):
            shared[row, i] = r[row, i] * share[i]


@kernel
def _collect(
    dy: Array, factor: Array, r: Array, shared: Array, dx: Array, channels: int, size: int, accumulate: bool
) -> None:
    """dx of one case: what comes through the numerator, through m, and through the means of the windows."""
    height, width = r.shape
    line = np.empty(width + (size - 1) * channels, r.dtype)
    sums = np.empty(width, r.dtype)
    for row in range(height):
        box_sums(shared, row, channels, size, size - 1 - size // 2, False, line, sums)
        for i in range(width):
            value = dy[row, i] * factor[row, i] + r[row, i] - sums[i]
            dx[row, i] = dx[row, i] + value if accumulate else value
