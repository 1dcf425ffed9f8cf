"""Colours on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import span
from convnet.ops.rgb import check_colours

_SOURCE = Path(__file__).with_name("rgb.cu")


def to_yuv(dev: CudaDevice, x: GPUArray, y: GPUArray) -> Launch:
    """y = the colours of x in YUV."""
    return _launch(dev, "to_yuv", x, y)


def to_lab(dev: CudaDevice, x: GPUArray, y: GPUArray, *, center: bool) -> Launch:
    """y = the colours of x, which are from 0 to 1, in Lab. center: take 50 from L."""
    return _launch(dev, "to_lab", x, y, 66.0 if center else 16.0)


def _launch(dev: CudaDevice, name: str, x: GPUArray, y: GPUArray, *numbers: float) -> Launch:
    check_colours(x, y)
    pixels = x.size // 3
    size = span(dev, pixels)
    kernel = dev.kernel(_SOURCE, name, **dev.act, PIXELS=size)
    return dev.per_item(kernel, pixels // size, x, y, np.int64(pixels // size), *numbers)
