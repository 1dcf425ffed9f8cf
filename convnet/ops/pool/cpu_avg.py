"""The kernels of average and sum pooling. Items are rows of the target; all arrays are (n*y, x*channel)."""

from __future__ import annotations

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import inlined, kernel
from convnet.ops.pool.cpu_window import covering, window


@kernel
def fprop(
    start: int, stop: int, x: Array, y: Array,
    channels: int, height: int, width: int, outputs_y: int, outputs_x: int, size: int, stride: int, first: int,
    divide: bool, line: Array,
) -> None:  # fmt: skip
    """y = sum of each window of x, or mean."""
    for item in range(start, stop):
        case, output_y = divmod(item, outputs_y)
        top, bottom = window(output_y, size, stride, first, height)
        _sum(x[case * height + top : case * height + bottom].reshape(-1), line)
        for output_x in range(outputs_x):
            left, right = window(output_x, size, stride, first, width)
            target = y[item, output_x * channels : (output_x + 1) * channels]
            _sum(line[left * channels : right * channels], target)
            if divide:
                _scale(target, max(1, (bottom - top) * (right - left)))


@inlined
def _sum(pieces: Array, target: Array) -> None:
    """target = sum of the pieces, each as long as the target, that lie one behind the other."""
    length = target.size
    target[:] = 0
    for begin in range(0, pieces.size, length):
        piece = pieces[begin : begin + length]
        for i in range(length):
            target[i] += piece[i]


@inlined
def _scale(target: Array, count: int) -> None:
    """target = target / count."""
    scale = target.dtype.type(1 / count)
    for i in range(target.size):
        target[i] *= scale


@kernel
def bprop(
    start: int, stop: int, dy: Array, dx: Array,
    channels: int, height: int, width: int, outputs_y: int, outputs_x: int, size: int, stride: int, first: int,
    divide: bool, accumulate: bool,
) -> None:  # fmt: skip
    """dx (+)= dy of each window that covers the pixel, or that divided by the number of its pixels."""
    for item in range(start, stop):
        case, row = divmod(item, height)
        if not accumulate:
            dx[item] = 0
        begin, end = covering(row, size, stride, first, outputs_y)
        for output_y in range(begin, end):
            top, bottom = window(output_y, size, stride, first, height)
            source = dy[case * outputs_y + output_y]
            for output_x in range(outputs_x):
                left, right = window(output_x, size, stride, first, width)
                pixel = source[output_x * channels : (output_x + 1) * channels]
                count = (bottom - top) * (right - left) if divide else 1
                _add_to_all(pixel, count, dx[item, left * channels : right * channels])


@inlined
def _add_to_all(dy: Array, count: int, dx: Array) -> None:
    """dx += dy / count for all pixels in dx; dy is one pixel long."""
    length = dy.size
    scale = dy.dtype.type(1 / count)
    for begin in range(0, dx.size, length):
        target = dx[begin : begin + length]
        for i in range(length):
            target[i] += scale * dy[i]
