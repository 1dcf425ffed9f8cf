"""Pooling on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.ops.pool import PoolGeometry
from convnet.shape import Maps

_SOURCE = Path(__file__).with_name("pool.cu")


def fprop_max(dev: CudaDevice, x: GPUArray, y: GPUArray, geometry: PoolGeometry) -> Launch:
    """y = maximum of each window of x."""
    return _fprop(dev, "fprop_max", x, y, geometry)


def fprop_maxabs(dev: CudaDevice, x: GPUArray, y: GPUArray, geometry: PoolGeometry) -> Launch:
    """y = the element of each window of x whose absolute value is largest."""
    return _fprop(dev, "fprop_maxabs", x, y, geometry)


def bprop_max(
    dev: CudaDevice, dy: GPUArray, x: GPUArray, y: GPUArray, dx: GPUArray, geometry: PoolGeometry, *, accumulate: bool
) -> Launch:
    """dx (+)= the gradient of fprop_max or fprop_maxabs; y is what that computed from x."""
    _check(geometry, len(x), [x, dx], [dy, y])
    return _launch(dev, "bprop_max", geometry, len(x), geometry.maps, dy, x, y, dx, accumulate=accumulate)


def fprop_avg(dev: CudaDevice, x: GPUArray, y: GPUArray, geometry: PoolGeometry) -> Launch:
    """y = mean of each window of x."""
    return _fprop(dev, "fprop_avg", x, y, geometry)


def fprop_sum(dev: CudaDevice, x: GPUArray, y: GPUArray, geometry: PoolGeometry) -> Launch:
    """y = sum of each window of x."""
    return _fprop(dev, "fprop_sum", x, y, geometry)


def _fprop(dev: CudaDevice, name: str, x: GPUArray, y: GPUArray, geometry: PoolGeometry) -> Launch:
    _check(geometry, len(x), [x], [y])
    return _launch(dev, name, geometry, len(x), geometry.output, x, y)


def bprop_avg(dev: CudaDevice, dy: GPUArray, dx: GPUArray, geometry: PoolGeometry, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop_avg."""
    return _bprop_sum(dev, "bprop_avg", dy, dx, geometry, accumulate)


def bprop_sum(dev: CudaDevice, dy: GPUArray, dx: GPUArray, geometry: PoolGeometry, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop_sum."""
    return _bprop_sum(dev, "bprop_sum", dy, dx, geometry, accumulate)


def _bprop_sum(
    dev: CudaDevice, name: str, dy: GPUArray, dx: GPUArray, geometry: PoolGeometry, accumulate: bool
) -> Launch:
    _check(geometry, len(dx), [dx], [dy])
    return _launch(dev, name, geometry, len(dx), geometry.maps, dy, dx, accumulate=accumulate)


def _check(geometry: PoolGeometry, cases: int, inputs: list[GPUArray], outputs: list[GPUArray]) -> None:
    for maps, arrays in ((geometry.maps, inputs), (geometry.output, outputs)):
        expected = (cases, maps.y, maps.x, maps.channels)
        for array in arrays:
            if array.shape != expected:
                raise ValueError(f"pool: expected an array of shape {expected}, found {array.shape}")


def _launch(
    dev: CudaDevice, name: str, geometry: PoolGeometry, cases: int, target: Maps, *arrays: GPUArray, **options: bool
) -> Launch:
    """A launch of a kernel whose threads have the pixels of `target`."""
    channels, height, width = geometry.maps
    size = span(dev, channels)
    kernel = dev.kernel(_SOURCE, name, **dev.act, SPAN=size)
    rows, columns = cases * target.y, target.x * channels // size
    numbers = (channels // size, height, width, geometry.outputs_y, geometry.outputs_x,
               geometry.size, geometry.stride, geometry.start)  # fmt: skip
    flags = (int(flag) for flag in options.values())
    return dev.call(
        kernel, *rows_and_columns(rows, columns), *arrays, rows, np.array(numbers, np.int32).tobytes(), *flags
    )
