"""Plain arithmetic on flat arrays, on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycuda.driver as cuda

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch

_SOURCE = Path(__file__).with_name("flat.cu")
_PACK = 4  # numbers of a thread: 16 bytes


def add(dev: CudaDevice, x: GPUArray, y: GPUArray) -> Launch:
    """y += x; both begin at a multiple of 16 bytes."""
    if x.shape != y.shape:
        raise ValueError(f"flat: x of shape {x.shape}, y of shape {y.shape}")
    return dev.per_item(dev.kernel(_SOURCE, "add"), -(-y.size // _PACK), x, y, np.int64(y.size))


def clear(dev: CudaDevice, y: GPUArray) -> Launch:
    """y = 0."""

    def launch() -> None:
        dev.activate()
        cuda.memset_d32_async(y.ptr, 0, y.size, dev.stream)

    return launch
