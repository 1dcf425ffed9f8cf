"""Pooling across maps on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.ops.cmpool import ChannelWindows, check_shapes

_SOURCE = Path(__file__).with_name("cmpool.cu")


def fprop_max(dev: CudaDevice, x: GPUArray, y: GPUArray, windows: ChannelWindows) -> Launch:
    """y = maximum of each window of x."""
    check_shapes([x], [y])
    return _launch(dev, "fprop_max", windows, y, (x, y), x.shape[-1], y.shape[-1])


def bprop_max(
    dev: CudaDevice, dy: GPUArray, x: GPUArray, y: GPUArray, dx: GPUArray, windows: ChannelWindows, *, accumulate: bool
) -> Launch:
    """dx (+)= the gradient of fprop_max; y is what it computed from x."""
    check_shapes([x, dx], [dy, y])
    return _launch(dev, "bprop_max", windows, dx, (dy, x, y, dx), x.shape[-1], y.shape[-1], accumulate=int(accumulate))


def _launch(
    dev: CudaDevice, name: str, windows: ChannelWindows, target: GPUArray, arrays: tuple[GPUArray, ...], channels: int,
    outputs: int, **options: int,
) -> Launch:  # fmt: skip
    """A launch of a kernel whose threads have spans of the channels of `target`."""
    columns = target.shape[-1]
    rows, size = target.size // columns, span(dev, columns)
    kernel = dev.kernel(_SOURCE, name, **dev.act, SPAN=size)
    numbers = np.array([channels, outputs, windows.size, windows.stride, windows.start], np.int32)
    return dev.call(
        kernel, *rows_and_columns(rows, columns // size), *arrays, np.int64(rows), numbers.tobytes(), *options.values()
    )
