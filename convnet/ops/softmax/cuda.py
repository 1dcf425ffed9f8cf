"""Softmax on a GPU: a block for each case."""

from __future__ import annotations

from pathlib import Path

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import block_per_row

_SOURCE = Path(__file__).with_name("softmax.cu")


def fprop(dev: CudaDevice, x: GPUArray, y: GPUArray) -> Launch:
    """y = softmax(x) along the classes. x, y: (n, k)."""
    _check_alike(x, y)
    kernel = dev.kernel(_SOURCE, "fprop", **dev.act)
    return dev.call(kernel, *block_per_row(*x.shape), x, y, x.shape[1])


def bprop(dev: CudaDevice, dy: GPUArray, y: GPUArray, dx: GPUArray, *, accumulate: bool) -> Launch:
    """dx (+)= the gradient with respect to the scores. dy, y, dx: (n, k)."""
    _check_alike(dy, y, dx)
    kernel = dev.kernel(_SOURCE, "bprop", **dev.act)
    return dev.call(kernel, *block_per_row(*y.shape), dy, y, dx, y.shape[1], int(accumulate))


def _check_alike(*arrays: GPUArray) -> None:
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) != 1:
        raise ValueError(f"softmax: arrays of shapes {shapes} do not fit together")
