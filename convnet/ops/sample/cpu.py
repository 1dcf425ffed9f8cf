"""Samples of images on the CPU. Items are rows of the target."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.sample import SampleGeometry


def fprop(dev: CpuDevice, x: Array, y: Array, geometry: SampleGeometry) -> Launch:
    """y = the geometry's pixels of x."""
    geometry.check(x, y)
    source, target = _rows(x), _rows(y)
    return dev.parallel(_fprop, len(target), source, target, *_numbers(geometry))


def bprop(dev: CpuDevice, dy: Array, dx: Array, geometry: SampleGeometry, *, accumulate: bool) -> Launch:
    """dx (+)= dy at the geometry's pixels, 0 elsewhere."""
    geometry.check(dx, dy)
    source, target = _rows(dy), _rows(dx)
    return dev.parallel(_bprop, len(target), source, target, *_numbers(geometry), accumulate)


def _rows(array: Array) -> Array:
    """An array (n, y, x, channel) seen as (n*y, x*channel)."""
    cases, height, width, channels = array.shape
    return array.reshape(cases * height, width * channels, copy=False)


def _numbers(g: SampleGeometry) -> tuple[int, ...]:
    """The geometry as kernels take it."""
    return (g.maps.channels, g.maps.y, g.start_y, g.start_x, g.step_y, g.step_x, g.outputs_y, g.outputs_x)


@kernel
def _fprop(
    start: int, stop: int, x: Array, y: Array,
    channels: int, height: int, start_y: int, start_x: int, step_y: int, step_x: int, outputs_y: int, outputs_x: int,
) -> None:  # fmt: skip
    for item in range(start, stop):
        case, output_y = divmod(item, outputs_y)
        source, target = x[case * height + start_y + output_y * step_y], y[item]
        for output_x in range(outputs_x):
            pixel = (start_x + output_x * step_x) * channels
            for channel in range(channels):
                target[output_x * channels + channel] = source[pixel + channel]


@kernel
def _bprop(
    start: int, stop: int, dy: Array, dx: Array,
    channels: int, height: int, start_y: int, start_x: int, step_y: int, step_x: int, outputs_y: int, outputs_x: int,
    accumulate: bool,
) -> None:  # fmt: skip
    for item in range(start, stop):
        case, row = divmod(item, height)
        target = dx[item]
        if not accumulate:
            target[:] = 0
        output_y, between = divmod(row - start_y, step_y)
        if between != 0 or output_y < 0 or output_y >= outputs_y:
            continue
        source = dy[case * outputs_y + output_y]
        for output_x in range(outputs_x):
            pixel = (start_x + output_x * step_x) * channels
            for channel in range(channels):
                target[pixel + channel] += source[output_x * channels + channel]
