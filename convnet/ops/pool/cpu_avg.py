"""The kernels of average and sum pooling. Items are rows of what is made; all arrays are flat."""

from __future__ import annotations

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.lanes import add, lanes_of, load, scale, store, zeros
from convnet.ops.pool.cpu_window import Pool, covering, window


@kernel
def fprop(start: int, stop: int, x: Array, y: Array, p: Pool, divide: bool) -> None:
    """y = sum of each window of x, or mean."""
    for item in range(start, stop):
        case, output_y = divmod(item, p.outputs_y)
        top, bottom = window(output_y, p.size, p.stride, p.first, p.height)
        for output_x in range(p.outputs_x):
            left, right = window(output_x, p.size, p.stride, p.first, p.width)
            factor = x.dtype.type(1 / max(1, (bottom - top) * (right - left)) if divide else 1)
            for c in range(0, p.channels, lanes_of(x.itemsize)):
                total, count = zeros(x), p.channels - c
                for row in range(case * p.height + top, case * p.height + bottom):
                    for column in range(left, right):
                        total = add(total, load(x, (row * p.width + column) * p.channels + c, count))
                store(y, (item * p.outputs_x + output_x) * p.channels + c, count, scale(total, factor))


@kernel
def bprop(start: int, stop: int, dy: Array, dx: Array, p: Pool, divide: bool, accumulate: bool) -> None:
    """dx (+)= dy of each window that covers the pixel, or that divided by the number of its pixels."""
    for item in range(start, stop):
        case, row = divmod(item, p.height)
        top, bottom = covering(row, p.size, p.stride, p.first, p.outputs_y)
        for column in range(p.width):
            left, right = covering(column, p.size, p.stride, p.first, p.outputs_x)
            for c in range(0, p.channels, lanes_of(dx.itemsize)):
                count, at = p.channels - c, (item * p.width + column) * p.channels + c
                total = load(dx, at, count) if accumulate else zeros(dx)
                for output_y in range(top, bottom):
                    for output_x in range(left, right):
                        seen = ((case * p.outputs_y + output_y) * p.outputs_x + output_x) * p.channels + c
                        factor = dx.dtype.type(1 / _pixels(output_y, output_x, p) if divide else 1)
                        total = add(total, scale(load(dy, seen, count), factor))
                store(dx, at, count, total)


@inlined
def _pixels(output_y: int, output_x: int, p: Pool) -> int:
    """How many pixels of the image a window covers."""
    top, bottom = window(output_y, p.size, p.stride, p.first, p.height)
    left, right = window(output_x, p.size, p.stride, p.first, p.width)
    return (bottom - top) * (right - left)
