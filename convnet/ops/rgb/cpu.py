"""Colours on the CPU. Items are rows of the images."""

from __future__ import annotations

from typing import Any

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.rgb import check_colours


def to_yuv(dev: CpuDevice, x: Array, y: Array) -> Launch:
    """y = the colours of x in YUV."""
    return dev.parallel(_to_yuv, *_rows(x, y))


def to_lab(dev: CpuDevice, x: Array, y: Array, *, center: bool) -> Launch:
    """y = the colours of x, which are from 0 to 1, in Lab. center: take 50 from L."""
    return dev.parallel(_to_lab, *_rows(x, y), 66.0 if center else 16.0)


def _rows(x: Array, y: Array) -> tuple[int, Array, Array]:
    """The number of rows, and both arrays as (n*y, x, 3)."""
    check_colours(x, y)
    rows = len(x) * x.shape[1]
    return rows, x.reshape(rows, -1, 3, copy=False), y.reshape(rows, -1, 3, copy=False)


@kernel
def _to_yuv(start: int, stop: int, x: Array, y: Array) -> None:
    for row in range(start, stop):
        for pixel in range(x.shape[1]):
            r, g, b = x[row, pixel, 0], x[row, pixel, 1], x[row, pixel, 2]
            y[row, pixel, 0] = 0.2126 * r + 0.7152 * g + 0.0722 * b
            y[row, pixel, 1] = -0.09991 * r - 0.33609 * g + 0.436 * b
            y[row, pixel, 2] = 0.615 * r - 0.55861 * g - 0.05639 * b


@kernel
def _f(t: Any, exponent: Any) -> Any:
    """exponent: 0.3333 in the type of t: single precision takes half the time."""
    return t**exponent if t > 0.0088564517 else 7.787037 * t + 0.13793103


@kernel
def _to_lab(start: int, stop: int, x: Array, y: Array, black: float) -> None:
    """black: what is taken from L."""
    kind = x.dtype.type
    for row in range(start, stop):
        for pixel in range(x.shape[1]):
            r, g, b = x[row, pixel, 0], x[row, pixel, 1], x[row, pixel, 2]
            fx = _f(kind(0.49 * r + 0.31 * g + 0.2 * b), kind(0.3333))
            fy = _f(kind(0.17697 * r + 0.8124 * g + 0.01063 * b), kind(0.3333))
            fz = _f(kind(0.01 * g + 0.99 * b), kind(0.3333))
            y[row, pixel, 0] = 116 * fy - black
            y[row, pixel, 1] = 500 * (fx - fy)
            y[row, pixel, 2] = 200 * (fy - fz)
