"""The Cauchy cost on a GPU: a block for each case where sums are needed, otherwise a thread for a few numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import block_per_row
from convnet.ops.crossent import check_targets
from convnet.ops.crossent.cuda import types

_SOURCE = Path(__file__).with_name("cauchy.cu")


def fprop(dev: CudaDevice, targets: GPUArray, outputs: GPUArray, values: GPUArray) -> Launch:
    """values = sum log(1 + (y - t)^2) of each case. targets, outputs: (n, k); values: (n, 1)."""
    check_targets("cauchy", targets, outputs, values, (len(outputs), 1))
    kernel = dev.kernel(_SOURCE, "fprop", **types(dev, targets))
    return dev.call(kernel, *block_per_row(*outputs.shape), targets, outputs, values, outputs.shape[1])


def bprop(
    dev: CudaDevice, targets: GPUArray, outputs: GPUArray, dx: GPUArray, *, coeff: float, accumulate: bool
) -> Launch:
    """dx (+)= the gradient with respect to the outputs. targets, outputs, dx: (n, k)."""
    check_targets("cauchy", targets, outputs, dx, outputs.shape)
    kernel = dev.kernel(_SOURCE, "bprop", **types(dev, targets))
    size = np.int64(dx.size)
    return dev.per_item(kernel, dev.packs(dx.size), targets, outputs, dx, size, float(coeff), int(accumulate))
