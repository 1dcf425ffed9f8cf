"""Blurring on the CPU. Items are rows of the images: blurred along y into one line, and this along x."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import kernel
from convnet.ops.blur import Blur, check_apply


def apply(dev: CpuDevice, x: Array, y: Array, blur: Blur, *, accumulate: bool) -> Launch:
    """y (+)= the blurred x. x, y: (n, y, x, channel), different arrays."""
    check_apply(x, y)
    cases, height, width, channels = x.shape
    rows = [array.reshape(cases * height, width * channels, copy=False) for array in (x, y)]
    line = Scratch(rows[0].shape[1:], x.dtype)
    return dev.parallel(_apply, cases * height, *rows, np.array(blur.taps, x.dtype), channels, height, line, accumulate)


@kernel
def _apply(
    start: int, stop: int, x: Array, y: Array, taps: Array, channels: int, height: int, line: Array, accumulate: bool
) -> None:
    reach = taps.size // 2
    for item in range(start, stop):
        row = item % height
        line[:] = 0
        for k in range(max(0, reach - row), min(taps.size, height - row + reach)):
            _add(x[item + k - reach], taps[k], line)
        if not accumulate:
            y[item] = 0
        for k in range(taps.size):
            shift = (k - reach) * channels
            first, end = max(0, -shift), min(line.size, line.size - shift)
            if first < end:
                _add(line[first + shift : end + shift], taps[k], y[item, first:end])


@kernel
def _add(source: Array, factor: float, target: Array) -> None:
    """target += factor source."""
    for i in range(target.size):
        target[i] += factor * source[i]
