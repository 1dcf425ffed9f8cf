"""Contrast normalization on the CPU: one case after the other, in planes (y, x*channel) of scratch memory."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.rnorm import Normalization
from convnet.ops.rnorm.cpu_power import product
from convnet.ops.rnorm.cpu_window import box_sums, denominators, line_of, plane_of, planes, pulls_of, row_of


def fprop(dev: CpuDevice, x: Array, y: Array, norm: Normalization) -> Launch:
    """y = x * d^-power."""
    inverse = factor = row_of(x)
    return dev.parallel(
        _fprop, len(x), *planes(x, y), x.shape[3], norm.size, norm.alpha, norm.power, norm.min_div,
        plane_of(x), line_of(x, norm.size), inverse, factor,
    )  # fmt: skip


def bprop(dev: CpuDevice, dy: Array, x: Array, dx: Array, norm: Normalization, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop."""
    centred = factors = pulls = plane_of(x)
    share = sums = row_of(x)
    return dev.parallel(
        _bprop, len(x), *planes(dy, x, dx), x.shape[3], norm.size, norm.alpha, norm.power, norm.min_div, accumulate,
        centred, factors, pulls, line_of(x, norm.size), share, sums,
    )  # fmt: skip


@kernel
def _fprop(
    start: int, stop: int, x: Array, y: Array,
    channels: int, size: int, alpha: float, power: float, min_div: float,
    centred: Array, line: Array, inverse: Array, factor: Array,
) -> None:  # fmt: skip
    """Items are cases."""
    for case in range(start, stop):
        _centre(x[case], centred, channels, size, line, inverse[0], factor[0])
        for row in range(x.shape[1]):
            denominators(centred, row, channels, size, alpha, power, min_div, line, inverse[0], factor[0])
            product(x[case, row : row + 1], factor, y[case, row : row + 1])


@kernel
def _bprop(
    start: int, stop: int, dy: Array, x: Array, dx: Array,
    channels: int, size: int, alpha: float, power: float, min_div: float, accumulate: bool,
    m: Array, factors: Array, pulls: Array, line: Array, share: Array, sums: Array,
) -> None:  # fmt: skip
    """Items are cases."""
    for case in range(start, stop):
        _centre(x[case], m, channels, size, line, share[0], sums[0])
        pulls_of(dy[case], x[case], m, factors, pulls, channels, size, alpha, power, min_div, line, sums)
        _centred_gradient(pulls, m, channels, size, -2 * alpha * power, line, sums[0])
        _share_out(m, pulls, channels, size, share[0])
        _collect(dy[case], factors, m, pulls, dx[case], channels, size, accumulate, line, sums[0])


@kernel
def _centre(x: Array, m: Array, channels: int, size: int, line: Array, share: Array, sums: Array) -> None:
    """m = x - mean of the window, for one case. line, share, sums: scratch, here as below."""
    height, width = x.shape
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
def _centred_gradient(pulls: Array, m: Array, channels: int, size: int, slope: float, line: Array, sums: Array) -> None:
    """m = the gradient r with respect to m, which it replaces, for one case."""
    height, width = m.shape
    coefficient = m.dtype.type(slope)
    for row in range(height):
        box_sums(pulls, row, channels, size, size - 1 - size // 2, False, line, sums)
        for i in range(width):
            m[row, i] *= coefficient * sums[i]


@kernel
def _share_out(r: Array, shared: Array, channels: int, size: int, share: Array) -> None:
    """shared = r divided by the number of pixels in the window, for one case."""
    height, width = r.shape
    for row in range(height):
        _shares(row, height, channels, size, share)
        for i in range(width):
            shared[row, i] = r[row, i] * share[i]


@kernel
def _collect(
    dy: Array, factor: Array, r: Array, shared: Array, dx: Array, channels: int, size: int, accumulate: bool,
    line: Array, sums: Array,
) -> None:  # fmt: skip
    """dx of one case: what comes through the numerator, through m, and through the means of the windows."""
    height, width = r.shape
    for row in range(height):
        box_sums(shared, row, channels, size, size - 1 - size // 2, False, line, sums)
        for i in range(width):
            value = dy[row, i] * factor[row, i] + r[row, i] - sums[i]
            dx[row, i] = dx[row, i] + value if accumulate else value
