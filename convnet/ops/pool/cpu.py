"""Pooling on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.backends.cpu.device import Array, Cases, CpuDevice, Launch
from convnet.ops.pool import PoolGeometry, cpu_avg, cpu_max
from convnet.ops.pool.cpu_window import Pool
from convnet.shape import Maps


def fprop_max(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry) -> Launch:
    """y = maximum of each window of x."""
    _check(geometry, len(x), (x,), (y,))
    return dev.parallel(
        cpu_max.fprop, len(x) * geometry.outputs_y, x.reshape(-1), y.reshape(-1), _numbers(geometry),
        cases=Cases(len(x)),
    )  # fmt: skip


def fprop_maxabs(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry) -> Launch:
    """y = the element of each window of x whose absolute value is largest."""
    _check(geometry, len(x), (x,), (y,))
    return dev.parallel(
        cpu_max.fprop_absolute, len(x) * geometry.outputs_y, x.reshape(-1), y.reshape(-1), _numbers(geometry),
        cases=Cases(len(x)),
    )  # fmt: skip


def bprop_max(
    dev: CpuDevice, dy: Array, x: Array, y: Array, dx: Array, geometry: PoolGeometry, *, accumulate: bool
) -> Launch:
    """dx (+)= the gradient of fprop_max or fprop_maxabs; y is what that computed from x."""
    _check(geometry, len(x), (x, dx), (dy, y))
    return dev.parallel(
        cpu_max.bprop, len(x) * geometry.maps.y, *(array.reshape(-1) for array in (dy, x, y, dx)), _numbers(geometry),
        accumulate, cases=Cases(len(x)),
    )  # fmt: skip


def fprop_avg(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry) -> Launch:
    """y = mean of each window of x."""
    return _fprop_sum(dev, x, y, geometry, divide=True)


def fprop_sum(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry) -> Launch:
    """y = sum of each window of x."""
    return _fprop_sum(dev, x, y, geometry, divide=False)


def _fprop_sum(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry, *, divide: bool) -> Launch:
    _check(geometry, len(x), (x,), (y,))
    return dev.parallel(
        cpu_avg.fprop, len(x) * geometry.outputs_y, x.reshape(-1), y.reshape(-1), _numbers(geometry),
        _factors(geometry, x.dtype, divide=divide), cases=Cases(len(x)),
    )  # fmt: skip


def bprop_avg(dev: CpuDevice, dy: Array, dx: Array, geometry: PoolGeometry, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop_avg."""
    return _bprop_sum(dev, dy, dx, geometry, divide=True, accumulate=accumulate)


def bprop_sum(dev: CpuDevice, dy: Array, dx: Array, geometry: PoolGeometry, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop_sum."""
    return _bprop_sum(dev, dy, dx, geometry, divide=False, accumulate=accumulate)


def _bprop_sum(
    dev: CpuDevice, dy: Array, dx: Array, geometry: PoolGeometry, *, divide: bool, accumulate: bool
) -> Launch:
    _check(geometry, len(dx), (dx,), (dy,))
    return dev.parallel(
        cpu_avg.bprop, len(dx) * geometry.maps.y, dy.reshape(-1), dx.reshape(-1), _numbers(geometry),
        _factors(geometry, dx.dtype, divide=divide), accumulate, cases=Cases(len(dx)),
    )  # fmt: skip


def _factors(geometry: PoolGeometry, dtype: Any, *, divide: bool) -> Array:
    """The factors of convnet.ops.pool.cpu_avg."""
    pixels = []
    for outputs, image in ((geometry.outputs_y, geometry.maps.y), (geometry.outputs_x, geometry.maps.x)):
        begin = geometry.start + geometry.stride * np.arange(outputs)
        pixels.append(np.clip(begin + geometry.size, 0, image) - np.clip(begin, 0, image))
    count = np.maximum(1, np.outer(*pixels)) if divide else np.ones((geometry.outputs_y, geometry.outputs_x))
    return (1 / count).astype(dtype)


def _check(geometry: PoolGeometry, cases: int, inputs: tuple[Array, ...], outputs: tuple[Array, ...]) -> None:
    """Raise ValueError unless arrays are of so many cases and of the geometry's maps, those that come in or go out."""
    for maps, arrays in ((geometry.maps, inputs), (geometry.output, outputs)):
        for array in arrays:
            if array.shape != (expected := _shape(maps, cases)):
                raise ValueError(f"pool: expected an array of shape {expected}, found {array.shape}")


def _shape(maps: Maps, cases: int) -> tuple[int, ...]:
    return cases, maps.y, maps.x, maps.channels


def _numbers(geometry: PoolGeometry) -> Pool:
    """The geometry as kernels take it."""
    channels, height, width = geometry.maps
    return Pool(channels, height, width, geometry.outputs_y, geometry.outputs_x, geometry.size, geometry.stride,
                geometry.start)  # fmt: skip
