"""Sum of squares on a GPU: a block for each case."""

from __future__ import annotations

from pathlib import Path

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import block_per_row, span
from convnet.ops.eltwise import cuda as eltwise

_SOURCE = Path(__file__).with_name("sum2.cu")


def fprop(dev: CudaDevice, x: GPUArray, values: GPUArray) -> Launch:
    """values = the sum of squares of each case. x: (n, f); values: (n, 1)."""
    if values.shape != (len(x), 1):
        raise ValueError(f"sum2: values of shape {values.shape} for x of shape {x.shape}")
    cases, features = x.shape
    size = span(dev, features)
    kernel = dev.kernel(_SOURCE, "sum_packs" if size > 1 else "sum_singles", **dev.act)
    return dev.call(kernel, *block_per_row(cases, features // size), x, values, features)


def bprop(dev: CudaDevice, x: GPUArray, dx: GPUArray, *, coeff: float, accumulate: bool) -> Launch:
    """dx (+)= 2 coeff x. x, dx: (n, f)."""
    if dx.shape != x.shape:
        raise ValueError(f"sum2: dx of shape {dx.shape} for x of shape {x.shape}")
    return eltwise.scale(dev, x, dx, coeff=2 * coeff, accumulate=accumulate)
