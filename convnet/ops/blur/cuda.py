"""Blurring on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.ops.blur import Blur, check_apply

_SOURCE = Path(__file__).with_name("blur.cu")
_STRIP = 32  # lines that a thread puts out; it reads up to 8 more


def apply(dev: CudaDevice, x: GPUArray, y: GPUArray, blur: Blur, *, accumulate: bool) -> Launch:
    """y (+)= the blurred x. x, y: (n, y, x, channel), different arrays."""
    check_apply(x, y)
    cases, height, width, channels = x.shape
    size, strips = span(dev, channels), -(-height // _STRIP)
    kernel = dev.kernel(_SOURCE, "apply", **dev.act, SPAN=size, REACH=blur.size // 2, STRIP=_STRIP)
    numbers = np.array((channels // size, height, width, strips), np.int32).tobytes()
    taps = np.array(blur.taps, np.float32).tobytes()
    rows = cases * strips
    return dev.call(
        kernel, *rows_and_columns(rows, width * channels // size), x, y, rows, numbers + taps, int(accumulate)
    )
