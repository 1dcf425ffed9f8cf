"""Samples of images on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.ops.sample import SampleGeometry

_SOURCE = Path(__file__).with_name("sample.cu")


def fprop(dev: CudaDevice, x: GPUArray, y: GPUArray, geometry: SampleGeometry) -> Launch:
    """y = the geometry's pixels of x."""
    geometry.check(x, y)
    return _launch(dev, "fprop", geometry, x, y)


def bprop(dev: CudaDevice, dy: GPUArray, dx: GPUArray, geometry: SampleGeometry, *, accumulate: bool) -> Launch:
    """dx (+)= dy at the geometry's pixels, 0 elsewhere."""
    geometry.check(dx, dy)
    return _launch(dev, "bprop", geometry, dy, dx, int(accumulate))


def _launch(dev: CudaDevice, name: str, g: SampleGeometry, source: GPUArray, target: GPUArray, *flags: int) -> Launch:
    """A launch of a kernel whose threads have the pixels of `target`."""
    cases, height, width, channels = target.shape
    size = span(dev, channels)
    kernel = dev.kernel(_SOURCE, name, **dev.act, SPAN=size)
    rows = cases * height
    numbers = (channels // size, g.maps.y, g.maps.x, g.start_y, g.start_x, g.step_y, g.step_x, g.outputs_y, g.outputs_x)
    return dev.call(
        kernel, *rows_and_columns(rows, width * channels // size), source, target, rows,
        np.array(numbers, np.int32).tobytes(), *flags,
    )  # fmt: skip
