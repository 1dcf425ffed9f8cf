"""The kernels of maximum pooling, by value or by absolute value. Items are rows; all arrays are (n*y, x*channel)."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import inlined, kernel
from convnet.ops.eltwise.cpu import raise_to
from convnet.ops.pool.cpu_window import covering, window


@kernel
def fprop(
    start: int, stop: int, x: Array, y: Array,
    channels: int, height: int, width: int, outputs_y: int, outputs_x: int, size: int, stride: int, first: int,
    absolute: bool, line: Array,
) -> None:  # fmt: skip
    """y = maximum of each window of x, or its element of the largest absolute value."""
    for item in range(start, stop):
        case, output_y = divmod(item, outputs_y)
        top, bottom = window(output_y, size, stride, first, height)
        _largest(x[case * height + top : case * height + bottom].reshape(-1), absolute, line)
        for output_x in range(outputs_x):
            left, right = window(output_x, size, stride, first, width)
            target = y[item, output_x * channels : (output_x + 1) * channels]
            _largest(line[left * channels : right * channels], absolute, target)


@inlined
def _largest(pieces: Array, absolute: bool, target: Array) -> None:
    """target = maximum (by absolute value) of the pieces, each as long as the target, that lie one behind the other.

    NaN if one is NaN, 0 if there are no pieces.
    """
    length = target.size
    if pieces.size:
        for i in range(length):
            target[i] = pieces[i]
    else:
        target[:] = 0
    for begin in range(length, pieces.size, length):
        if absolute:
            _move_away_from_0(pieces[begin : begin + length], target)
        else:
            raise_to(pieces[begin : begin + length], target)


@inlined
def _move_away_from_0(x: Array, y: Array) -> None:
    """y = the one of y and x that is farther from 0, of two the positive one; NaN if either is NaN."""
    for i in range(y.size):
        size, other = abs(y[i]), abs(x[i])
        farther = other > size or (other == size and x[i] > y[i])
        y[i] = x[i] if farther or np.isnan(other) else y[i]


@kernel
def bprop(
    start: int, stop: int, dy: Array, x: Array, y: Array, dx: Array,
    channels: int, height: int, width: int, outputs_y: int, outputs_x: int, size: int, stride: int, first: int,
    accumulate: bool,
) -> None:  # fmt: skip
    """dx (+)= dy of each window in whose maximum y the pixel of x takes part."""
    for item in range(start, stop):
        case, row = divmod(item, height)
        if not accumulate:
            dx[item] = 0
        begin, end = covering(row, size, stride, first, outputs_y)
        for output in range(case * outputs_y + begin, case * outputs_y + end):
            for output_x in range(outputs_x):
                left, right = window(output_x, size, stride, first, width)
                at = slice(output_x * channels, (output_x + 1) * channels)
                span = slice(left * channels, right * channels)
                _add_where_equal(dy[output, at], y[output, at], x[item, span], dx[item, span])


@inlined
def _add_where_equal(dy: Array, y: Array, x: Array, dx: Array) -> None:
    """dx += dy where x equals y, for all pixels in x; dy and y are one pixel long."""
    length = y.size
    zero = dy.dtype.type(0)
    for begin in range(0, x.size, length):
        pixel, target = x[begin : begin + length], dx[begin : begin + length]
        for i in range(length):
            target[i] += dy[i] if pixel[i] == y[i] else zero
