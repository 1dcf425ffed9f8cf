"""The kernels of maximum pooling, by value or by absolute value. Items are rows of what is made; arrays are flat."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.lanes import add, lanes_of, larger, load, nan_where, store, where_equal, zeros
from convnet.ops.pool.cpu_window import Pool, covering, window


@kernel
def fprop(start: int, stop: int, x: Array, y: Array, p: Pool) -> None:
    """y = maximum of each window of x; NaN if one is NaN, 0 if there are no pixels in it."""
    for item in range(start, stop):
        case, output_y = divmod(item, p.outputs_y)
        top, bottom = window(output_y, p.size, p.stride, p.first, p.height)
        for output_x in range(p.outputs_x):
            left, right = window(output_x, p.size, p.stride, p.first, p.width)
            for c in range(0, p.channels, lanes_of(x.itemsize)):
                count = p.channels - c
                at = ((case * p.height + top) * p.width + left) * p.channels + c
                value = load(x, at, count) if bottom > top and right > left else zeros(x)
                nan = zeros(x)  # where none was seen
                for row in range(bottom - top):
                    for column in range(right - left):
                        pixel = load(x, at + (row * p.width + column) * p.channels, count)
                        value, nan = larger(pixel, value), nan_where(pixel, nan)
                store(y, (item * p.outputs_x + output_x) * p.channels + c, count, add(value, nan))


@kernel
def fprop_absolute(start: int, stop: int, x: Array, y: Array, p: Pool) -> None:
    """y = the element of each window of x that is farthest from 0, of two the positive one."""
    for item in range(start, stop):
        case, output_y = divmod(item, p.outputs_y)
        top, bottom = window(output_y, p.size, p.stride, p.first, p.height)
        for output_x in range(p.outputs_x):
            left, right = window(output_x, p.size, p.stride, p.first, p.width)
            to = (item * p.outputs_x + output_x) * p.channels
            y[to : to + p.channels] = 0
            for row in range(top, bottom):
                for column in range(left, right):
                    at = ((case * p.height + row) * p.width + column) * p.channels
                    _move_away_from_0(x[at : at + p.channels], y[to : to + p.channels])


@inlined
def _move_away_from_0(x: Array, y: Array) -> None:
    """y = the one of y and x that is farther from 0, of two the positive one; NaN if either is NaN."""
    for i in range(y.size):
        size, other = abs(y[i]), abs(x[i])
        farther = other > size or (other == size and x[i] > y[i])
        y[i] = x[i] if farther or np.isnan(other) else y[i]


@kernel
def bprop(start: int, stop: int, dy: Array, x: Array, y: Array, dx: Array, p: Pool, accumulate: bool) -> None:
    """dx (+)= dy of each window in whose maximum y the pixel of x takes part."""
    for item in range(start, stop):
        case, row = divmod(item, p.height)
        top, bottom = covering(row, p.size, p.stride, p.first, p.outputs_y)
        for column in range(p.width):
            left, right = covering(column, p.size, p.stride, p.first, p.outputs_x)
            for c in range(0, p.channels, lanes_of(x.itemsize)):
                count, at = p.channels - c, (item * p.width + column) * p.channels + c
                pixel, zero = load(x, at, count), zeros(x)
                total = load(dx, at, count) if accumulate else zero
                for output_y in range(top, bottom):
                    for output_x in range(left, right):
                        seen = ((case * p.outputs_y + output_y) * p.outputs_x + output_x) * p.channels + c
                        total = add(total, where_equal(pixel, load(y, seen, count), load(dy, seen, count), zero))
                store(dx, at, count, total)
