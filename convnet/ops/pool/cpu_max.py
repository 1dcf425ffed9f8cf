"""The kernels of maximum pooling. Items are rows of the target; all arrays are (n*y, x*channel)."""

from __future__ import annotations

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import kernel
from convnet.ops.eltwise.cpu import raise_to
from convnet.ops.pool.cpu_window import covering, window


@kernel
def fprop(
    start: int, stop: int, x: Array, y: Array,
    channels: int, height: int, width: int, outputs_y: int, outputs_x: int, size: int, stride: int, first: int,
    line: Array,
) -> None:  # fmt: skip
    """y = maximum of each window of x."""
    for item in range(start, stop):
        case, output_y = divmod(item, outputs_y)
        top, bottom = window(output_y, size, stride, first, height)
        _largest(x[case * height + top : case * height + bottom].reshape(-1), line)
        for output_x in range(outputs_x):
            left, right = window(output_x, size, stride, first, width)
            target = y[item, output_x * channels : (output_x + 1) * channels]
            _largest(line[left * channels : right * channels], target)


@kernel
def _largest(pieces: Array, target: Array) -> None:
    """target = maximum of the pieces, each as long as the target, that lie one behind the other.

    NaN if one is NaN, 0 if there are no pieces.
    """
    length = target.size
    if pieces.size:
        for i in range(length):
            target[i] = pieces[i]
    else:
        target[:] = 0
    for begin in range(length, pieces.size, length):
        raise_to(pieces[begin : begin + length], target)


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


@kernel
def _add_where_equal(dy: Array, y: Array, x: Array, dx: Array) -> None:
    """dx += dy where x equals y, for all pixels in x; dy and y are one pixel long."""
    length = y.size
    zero = dy.dtype.type(0)
    for begin in range(0, x.size, length):
        pixel, target = x[begin : begin + length], dx[begin : begin + length]
        for i in range(length):
            target[i] += dy[i] if pixel[i] == y[i] else zero
