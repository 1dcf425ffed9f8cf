"""Pooling across maps on the CPU, pixel by pixel."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.cmpool import ChannelWindows, check_shapes
from convnet.ops.eltwise.cpu import larger
from convnet.ops.pool.cpu_window import window

_BLOCK = 64  # pixels


def fprop_max(dev: CpuDevice, x: Array, y: Array, windows: ChannelWindows) -> Launch:
    """y = maximum of each window of x."""
    check_shapes([x], [y])
    source, target = _pixels(x), _pixels(y)
    return dev.parallel(_fprop, _blocks(source), source, target, windows.size, windows.stride, windows.start)


def bprop_max(
    dev: CpuDevice, dy: Array, x: Array, y: Array, dx: Array, windows: ChannelWindows, *, accumulate: bool
) -> Launch:
    """dx (+)= the gradient of fprop_max; y is what it computed from x."""
    check_shapes([x, dx], [dy, y])
    arrays = [_pixels(array) for array in (dy, x, y, dx)]
    return dev.parallel(
        _bprop, _blocks(arrays[1]), *arrays, windows.size, windows.stride, windows.start, accumulate
    )  # fmt: skip


def _pixels(array: Array) -> Array:
    """(n, y, x, channel) as (n*y*x, channel)."""
    return array.reshape(-1, array.shape[-1])


def _blocks(x: Array) -> int:
    return -(-len(x) // _BLOCK)


@kernel
def _fprop(start: int, stop: int, x: Array, y: Array, size: int, stride: int, first: int) -> None:
    """Items are blocks of pixels."""
    for pixel in range(start * _BLOCK, min(stop * _BLOCK, len(x))):
        source = x[pixel]
        for output in range(y.shape[1]):
            begin, end = window(output, size, stride, first, source.size)
            largest = source[begin] if begin < end else source.dtype.type(0)
            for channel in range(begin + 1, end):
                largest = larger(largest, source[channel])
            y[pixel, output] = largest


@kernel
def _bprop(
    start: int, stop: int, dy: Array, x: Array, y: Array, dx: Array, size: int, stride: int, first: int,
    accumulate: bool,
) -> None:  # fmt: skip
    """Items are blocks of pixels."""
    for pixel in range(start * _BLOCK, min(stop * _BLOCK, len(x))):
        source, target = x[pixel], dx[pixel]
        if not accumulate:
            target[:] = 0
        for output in range(y.shape[1]):
            begin, end = window(output, size, stride, first, source.size)
            for channel in range(begin, end):
                if source[channel] == y[pixel, output]:
                    target[channel] += dy[pixel, output]
