"""Cross-entropy on a GPU: a block for each case where sums are needed, otherwise a thread for a few numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import block_per_row
from convnet.ops.crossent import check_targets

_SOURCE = Path(__file__).with_name("crossent.cu")


def fprop(dev: CudaDevice, labels: GPUArray, probs: GPUArray, values: GPUArray) -> Launch:
    """values = -sum t log q, error of each case. labels, probs: (n, k); values: (n, 2)."""
    check_targets("crossent", labels, probs, values, (len(probs), 2))
    kernel = dev.kernel(_SOURCE, "fprop", **types(dev, labels))
    return dev.call(kernel, *block_per_row(*probs.shape), labels, probs, values, probs.shape[1])


def bprop(
    dev: CudaDevice, labels: GPUArray, probs: GPUArray, dx: GPUArray, *, coeff: float, accumulate: bool
) -> Launch:
    """dx (+)= the gradient with respect to the probabilities. labels, probs, dx: (n, k)."""
    check_targets("crossent", labels, probs, dx, probs.shape)
    kernel = dev.kernel(_SOURCE, "bprop", **types(dev, labels))
    size = np.int64(dx.size)
    return dev.per_item(kernel, dev.packs(dx.size), labels, probs, dx, size, float(coeff), int(accumulate))


def bprop_softmax(
    dev: CudaDevice, labels: GPUArray, probs: GPUArray, dx: GPUArray, *, coeff: float, accumulate: bool
) -> Launch:
    """dx (+)= the gradient with respect to the input of the softmax. labels, probs, dx: (n, k)."""
    check_targets("crossent", labels, probs, dx, probs.shape)
    kernel = dev.kernel(_SOURCE, "bprop_softmax", **types(dev, labels))
    grid = block_per_row(*probs.shape)
    return dev.call(kernel, *grid, labels, probs, dx, probs.shape[1], float(coeff), int(accumulate))


def types(dev: CudaDevice, labels: GPUArray) -> dict[str, int]:
    """The macros of <convnet/costs.cuh>: the type of activations, and whether the targets are held in it."""
    return {**dev.act, "TARGETS_ACT": int(labels.dtype == dev.activations)}
