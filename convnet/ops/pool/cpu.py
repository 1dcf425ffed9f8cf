"""Pooling on the CPU: maximum and average are computed alike, first over the rows of a window, then over its columns."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.ops.pool import PoolGeometry, cpu_avg, cpu_max


def fprop_max(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry) -> Launch:
    """y = maximum of each window of x."""
    return dev.parallel(cpu_max.fprop, len(x) * geometry.outputs_y, _rows(x), _rows(y), *_numbers(geometry))


def bprop_max(
    dev: CpuDevice, dy: Array, x: Array, y: Array, dx: Array, geometry: PoolGeometry, *, accumulate: bool
) -> Launch:
    """dx (+)= the gradient of fprop_max; y is what it computed from x."""
    rows = (_rows(dy), _rows(x), _rows(y), _rows(dx))
    return dev.parallel(cpu_max.bprop, len(rows[3]), *rows, *_numbers(geometry), accumulate)


def fprop_avg(dev: CpuDevice, x: Array, y: Array, geometry: PoolGeometry) -> Launch:
    """y = mean of each window of x."""
    return dev.parallel(cpu_avg.fprop, len(x) * geometry.outputs_y, _rows(x), _rows(y), *_numbers(geometry))


def bprop_avg(dev: CpuDevice, dy: Array, dx: Array, geometry: PoolGeometry, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient of fprop_avg."""
    rows = (_rows(dy), _rows(dx))
    return dev.parallel(cpu_avg.bprop, len(rows[1]), *rows, *_numbers(geometry), accumulate)


def _rows(maps: Array) -> Array:
    """(n, y, x, channel) seen as (n*y, x*channel)."""
    cases, height, width, channels = maps.shape
    return maps.reshape(cases * height, width * channels, copy=False)


def _numbers(geometry: PoolGeometry) -> tuple[int, ...]:
    """The geometry as kernels take it."""
    channels, height, width = geometry.maps
    return (channels, height, width, geometry.outputs_y, geometry.outputs_x,
            geometry.size, geometry.stride, geometry.start)  # fmt: skip
