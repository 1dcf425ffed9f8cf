"""Stored images on a GPU."""

from __future__ import annotations

from pathlib import Path

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.ops.pixels import check_normalize

_SOURCE = Path(__file__).with_name("pixels.cu")


def normalize(dev: CudaDevice, values: GPUArray, mean: GPUArray, shifts: GPUArray, y: GPUArray) -> Launch:
    """y = values - mean + shifts."""
    check_normalize(values, mean, shifts, y)
    cases, features, channels = len(values), mean.size, values.shape[3]
    size = span(dev, features)
    kernel = dev.kernel(_SOURCE, "normalize", **dev.act, SPAN=size)
    grid = rows_and_columns(cases, features // size)
    return dev.call(kernel, *grid, values, mean, shifts, y, cases, features, channels)
