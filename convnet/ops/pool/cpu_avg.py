"""The kernels of average and sum pooling. Items are rows of what is made; arrays are flat.

factors (outputs_y, outputs_x): 1, or 1 divided by how many pixels of the image each window covers.
"""

from __future__ import annotations

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import kernel
from convnet.backends.cpu.lanes import add, lanes_of, load, scale, store, zeros
from convnet.ops.pool.cpu_window import Pool, covering, window


@kernel
def fprop(start: int, stop: int, x: Array, y: Array, p: Pool, factors: Array) -> None:
    """y = sum of each window of x, times the window's factor."""
    for item in range(start, stop):
        case, output_y = divmod(item, p.outputs_y)
        top, bottom = window(output_y, p.size, p.stride, p.first, p.height)
        for output_x in range(p.outputs_x):
            left, right = window(output_x, p.size, p.stride, p.first, p.width)
            factor = factors[output_y, output_x]
            for c in range(0, p.channels, lanes_of(x.itemsize)):
                total, count = zeros(x), p.channels - c
                for row in range(case * p.height + top, case * p.height + bottom):
                    for column in range(left, right):
                        total = add(total, load(x, (row * p.width + column) * p.channels + c, count))
                store(y, (item * p.outputs_x + output_x) * p.channels + c, count, scale(total, factor))


@kernel
def bprop(start: int, stop: int, dy: Array, dx: Array, p: Pool, factors: Array, accumulate: bool) -> None:
    """dx (+)= dy of each window that covers the pixel, times the window's factor."""
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
                        total = add(total, scale(load(dy, seen, count), factors[output_y, output_x]))
                store(dx, at, count, total)
