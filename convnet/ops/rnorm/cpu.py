"""Response normalization within maps, on the CPU: row by row, as the window needs."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.ops.rnorm import Normalization
from convnet.ops.rnorm.cpu_power import gradient, product
from convnet.ops.rnorm.cpu_window import box_sums, denominators, line_of, plane_of, planes, pulls_of, row_of


def fprop(dev: CpuDevice, x: Array, y: Array, norm: Normalization) -> Launch:
    """y = x * d^-power."""
    cases, height, _, channels = x.shape
    inverse = factor = row_of(x)
    return dev.parallel(
        _fprop, cases * height, *planes(x, y), channels, norm.size, norm.alpha, norm.power, norm.min_div,
        line_of(x, norm.size), inverse, factor,
    )  # fmt: skip


def bprop(dev: CpuDevice, dy: Array, x: Array, dx: Array, norm: Normalization, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop."""
    factors = pulls = plane_of(x)
    return dev.parallel(
        _bprop, len(x), *planes(dy, x, dx), x.shape[3], norm.size, norm.alpha, norm.power, norm.min_div, accumulate,
        factors, pulls, line_of(x, norm.size), row_of(x),
    )  # fmt: skip


@kernel
def _fprop(
    start: int, stop: int, x: Array, y: Array, channels: int, size: int, alpha: float, power: float, min_div: float,
    line: Array, inverse: Array, factor: Array,
) -> None:  # fmt: skip
    """Items are the rows of all cases."""
    height = x.shape[1]
    for item in range(start, stop):
        case, row = divmod(item, height)
        denominators(x[case], row, channels, size, alpha, power, min_div, line, inverse[0], factor[0])
        product(x[case, row : row + 1], factor, y[case, row : row + 1])


@kernel
def _bprop(
    start: int, stop: int, dy: Array, x: Array, dx: Array,
    channels: int, size: int, alpha: float, power: float, min_div: float, accumulate: bool,
    factors: Array, pulls: Array, line: Array, row: Array,
) -> None:  # fmt: skip
    """Items are cases."""
    for case in range(start, stop):
        pulls_of(dy[case], x[case], x[case], factors, pulls, channels, size, alpha, power, min_div, line, row)
        _collect(dy[case], x[case], factors, pulls, dx[case],
                 channels, size, -2 * alpha * power, accumulate, line, row)  # fmt: skip


@inlined
def _collect(
    dy: Array, x: Array, factor: Array, pulls: Array, dx: Array,
    channels: int, size: int, slope: float, accumulate: bool, line: Array, sums: Array,
) -> None:  # fmt: skip
    """dx of one case: each pixel is in the windows that begin size - 1 - size // 2 before it."""
    for row in range(len(x)):
        box_sums(pulls, row, channels, size, size - 1 - size // 2, False, line, sums[0])
        here = slice(row, row + 1)
        gradient(dy[here], x[here], factor[here], sums, slope, accumulate, dx[here])
