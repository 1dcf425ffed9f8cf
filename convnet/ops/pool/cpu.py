"""Pooling on the CPU: maxima and sums alike go over the rows of a window first, then over its columns."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Scratch
from convnet.ops.pool import PoolGeometry, cpu_avg, cpu_max
from convnet.shape import Maps


def fprop_max(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry) -> Launch:
    """y = maximum of each window of x."""
    return _fprop_max(dev, x, y, geometry, absolute=False)


def fprop_maxabs(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry) -> Launch:
    """y = the element of each window of x whose absolute value is largest."""
    return _fprop_max(dev, x, y, geometry, absolute=True)


def _fprop_max(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry, *, absolute: bool) -> Launch:
    source, target = _rows(geometry.maps, len(x), x), _rows(geometry.output, len(x), y)
    return dev.parallel(cpu_max.fprop, len(target[0]), *source, *target, *_numbers(geometry), absolute, _line(*source))


def bprop_max(
    dev: CpuDevice, dy: Array, x: Array, y: Array, dx: Array, geometry: PoolGeometry, *, accumulate: bool
) -> Launch:
    """dx (+)= the gradient of fprop_max or fprop_maxabs; y is what that computed from x."""
    gradient, output = _rows(geometry.output, len(x), dy, y)
    pixels, target = _rows(geometry.maps, len(x), x, dx)
    return dev.parallel(cpu_max.bprop, len(target), gradient, pixels, output, target, *_numbers(geometry), accumulate)


def fprop_avg(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry) -> Launch:
    """y = mean of each window of x."""
    return _fprop_sum(dev, x, y, geometry, divide=True)


def fprop_sum(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry) -> Launch:
    """y = sum of each window of x."""
    return _fprop_sum(dev, x, y, geometry, divide=False)


def _fprop_sum(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry, *, divide: bool) -> Launch:
    source, target = _rows(geometry.maps, len(x), x), _rows(geometry.output, len(x), y)
    return dev.parallel(cpu_avg.fprop, len(target[0]), *source, *target, *_numbers(geometry), divide, _line(*source))


def bprop_avg(dev: CpuDevice, dy: Array, dx: Array, geometry: PoolGeometry, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop_avg."""
    return _bprop_sum(dev, dy, dx, geometry, divide=True, accumulate=accumulate)


def bprop_sum(dev: CpuDevice, dy: Array, dx: Array, geometry: PoolGeometry, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop_sum."""
    return _bprop_sum(dev, dy, dx, geometry, divide=False, accumulate=accumulate)


def _bprop_sum(
    dev: CpuDevice, dy: Array, dx: Array, geometry: PoolGeometry, *, divide: bool, accumulate: bool
) -> Launch:
    gradient, target = _rows(geometry.output, len(dx), dy), _rows(geometry.maps, len(dx), dx)
    return dev.parallel(cpu_avg.bprop, len(target[0]), *gradient, *target, *_numbers(geometry), divide, accumulate)


def _rows(maps: Maps, cases: int, *arrays: Array) -> list[Array]:
    """Arrays (n, y, x, channel) of these maps, each seen as (n*y, x*channel)."""
    expected = (cases, maps.y, maps.x, maps.channels)
    for array in arrays:
        if array.shape != expected:
            raise ValueError(f"pool: expected an array of shape {expected}, found {array.shape}")
    return [array.reshape(cases * maps.y, maps.x * maps.channels) for array in arrays]


def _line(x: Array) -> Scratch:
    """Room for one row of x (n*y, x*channel)."""
    return Scratch(x.shape[1:], x.dtype)


def _numbers(geometry: PoolGeometry) -> tuple[int, ...]:
    """The geometry as kernels take it."""
    channels, height, width = geometry.maps
    return (channels, height, width, geometry.outputs_y, geometry.outputs_x,
            geometry.size, geometry.stride, geometry.start)  # fmt: skip
