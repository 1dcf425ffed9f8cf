"""Resizing on the CPU. Items are rows of the output."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.dropout import Counter
from convnet.ops.dropout.cpu import philox
from convnet.ops.resize import MARGIN, check_fprop, check_random_crop, crop_thresholds
from convnet.shape import Maps


def fprop(dev: CpuDevice, x: Array, y: Array, *, scale: float) -> Launch:
    """y = x, so resized that a pixel of y is `scale` pixels of x wide, centre on centre."""
    check_fprop(x, y)
    sizes = x.shape[1], *y.shape[1:]
    offsets = (x.shape[1] / 2 - y.shape[1] / 2 * scale, x.shape[2] / 2 - y.shape[2] / 2 * scale)
    return dev.parallel(_fprop, len(y) * y.shape[1], _rows(x), _rows(y), *sizes, float(scale), *offsets, MARGIN)


def random_crop(
    dev: CpuDevice, x: Array, y: Array, *, seed: int, stream: int, counter: Counter, first_case: int = 0
) -> Launch:
    """y = a random crop of each image of x at a random scale. counter is read at each launch."""
    check_random_crop(x, y)
    low, sizes = 0xFFFFFFFF, (x.shape[1], x.shape[2], y.shape[1], y.shape[3])
    names = [np.uint64(word & low) for word in (stream, seed, seed >> 32)]
    thresholds = crop_thresholds(Maps(x.shape[3], x.shape[1], x.shape[2]), y.shape[1])
    return dev.parallel(
        _random_crop, len(y) * y.shape[1], _rows(x), _rows(y), *sizes, thresholds, first_case & low,
        lambda: np.uint64(counter.value & low), *names, MARGIN,
    )  # fmt: skip


def _rows(array: Array) -> Array:
    """An array (n, y, x, channel) seen as (n*y, x*channel)."""
    cases, height, width, channels = array.shape
    return array.reshape(cases * height, width * channels, copy=False)


@kernel
def _fprop(
    start: int, stop: int, x: Array, y: Array, height: int, outputs_y: int, outputs_x: int, channels: int,
    scale: float, offset_y: float, offset_x: float, margin: float,
) -> None:  # fmt: skip
    for item in range(start, stop):
        case, row = divmod(item, outputs_y)
        image = x[case * height : (case + 1) * height]
        _resize_row(image, row, y[item], outputs_x, channels, scale, offset_y, offset_x, margin)


@kernel
def _random_crop(
    start: int, stop: int, x: Array, y: Array, height: int, width: int, side: int, channels: int, thresholds: Array,
    first_case: int, minibatch: Any, stream: Any, k0: Any, k1: Any, margin: float,
) -> None:  # fmt: skip
    for item in range(start, stop):
        case, row = divmod(item, side)
        number = np.uint64((first_case + case) & 0xFFFFFFFF)
        w0, w1, w2, w3 = philox(np.uint64(0), number, minibatch, stream, k0, k1)
        shorter, size = min(height, width), _size(w0, thresholds, side)
        least, most = max(1.0, shorter / (size + 1)), shorter / size
        scale = least + _uniform(w1) * (most - least)
        offset_y = _offset(height, size * height // shorter, side, scale, w2)
        offset_x = _offset(width, size * width // shorter, side, scale, w3)
        image, behind = x[case * height : (case + 1) * height], 1.0 if size == shorter else margin
        _resize_row(image, row, y[item], side, channels, scale, offset_y, offset_x, behind)


@kernel
def _size(word: Any, thresholds: Array, side: int) -> int:
    """The shorter side of the resized image. The largest sizes are the likeliest."""
    index = thresholds.size - 1
    while index > 0 and word < thresholds[index - 1]:
        index -= 1
    return side + index


@kernel
def _uniform(word: Any) -> float:
    return (np.int64(word) >> 8) * 2.0**-24


@kernel
def _offset(image: int, resized: int, side: int, scale: float, word: Any) -> float:
    """Where in the image, along one axis, a crop of `side` pixels of the resized image begins."""
    first = int(_uniform(word) * (resized - side + 1))
    return image / 2 - resized / 2 * scale + first * scale


@kernel
def _between(pixel: int, scale: float, offset: float, image: int, margin: float) -> tuple[int, int, float]:
    """The two pixels of the image, along one axis, that a pixel of the output lies between, and how near the second."""
    at = max(0.0, min(image - margin, pixel * scale + offset))
    first = int(at)
    return first, min(first + 1, image - 1), at - first


@kernel
def _resize_row(
    image: Array, row: int, target: Array, outputs: int, channels: int,
    scale: float, offset_y: float, offset_x: float, margin: float,
) -> None:  # fmt: skip
    """One row of the output, of `outputs` pixels."""
    top, bottom, near_y = _between(row, scale, offset_y, len(image), margin)
    above, below, down = image[top], image[bottom], target.dtype.type(near_y)
    for output in range(outputs):
        left, right, near_x = _between(output, scale, offset_x, above.size // channels, margin)
        across = target.dtype.type(near_x)
        for c in range(channels):
            i, j = left * channels + c, right * channels + c
            upper, lower = above[i] + across * (above[j] - above[i]), below[i] + across * (below[j] - below[i])
            target[output * channels + c] = upper + down * (lower - upper)
