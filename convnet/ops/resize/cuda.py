"""Resizing on a GPU. What a random crop shows is drawn first, case by case, and then read by all its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.backends.cuda.kernels import Kernel
from convnet.backends.launches import in_turn
from convnet.ops.dropout import Counter
from convnet.ops.resize import MARGIN, check_fprop, check_random_crop, crop_thresholds
from convnet.shape import Maps

_SOURCE = Path(__file__).with_name("resize.cu")


def fprop(dev: CudaDevice, x: GPUArray, y: GPUArray, *, scale: float) -> Launch:
    """y = x, so resized that a pixel of y is `scale` pixels of x wide, centre on centre."""
    check_fprop(x, y)
    offsets = (x.shape[1] / 2 - y.shape[1] / 2 * scale, x.shape[2] / 2 - y.shape[2] / 2 * scale)
    return _resize(dev, "fprop", x, y, np.array((scale, *offsets, MARGIN), np.float32).tobytes())


def random_crop(
    dev: CudaDevice, x: GPUArray, y: GPUArray, *, seed: int, stream: int, counter: Counter, first_case: int = 0
) -> Launch:
    """y = a random crop of each image of x at a random scale. counter is read at each launch."""
    check_random_crop(x, y)
    cases, height, width, channels = x.shape
    thresholds, low = crop_thresholds(Maps(channels, height, width), y.shape[1]), 0xFFFFFFFF
    words = [word & low for word in (first_case, stream, seed, seed >> 32)]
    numbers = (np.array((height, width, y.shape[1], thresholds.size), np.int32).tobytes()
               + np.array(words, np.uint32).tobytes() + np.float32(MARGIN).tobytes())  # fmt: skip
    views = dev.workspace.reserve((cases, 4))
    draw = dev.per_item(
        _kernel(dev, "draw", channels), cases, dev.table(thresholds), views, cases,
        lambda: np.uint32(counter.value & low), numbers,
    )  # fmt: skip
    return in_turn([draw, _resize(dev, "crop", x, y, views)])


def _resize(dev: CudaDevice, name: str, x: GPUArray, y: GPUArray, view: Any) -> Launch:
    """view: what all cases show of their images, or an array of what each does."""
    cases, height, width, channels = y.shape
    size = span(dev, channels)
    sizes = np.array((channels // size, *x.shape[1:3], height, width), np.int32).tobytes()
    rows = cases * height
    grid = rows_and_columns(rows, width * channels // size)
    return dev.call(_kernel(dev, name, channels), *grid, x, y, rows, sizes, view)


def _kernel(dev: CudaDevice, name: str, channels: int) -> Kernel:
    """A kernel for images of so many channels."""
    return dev.kernel(_SOURCE, name, **dev.act, SPAN=span(dev, channels))
