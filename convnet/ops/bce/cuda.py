"""Binary cross-entropy on a GPU: a block for each case where sums are needed, otherwise a thread for a few numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import block_per_row
from convnet.ops.crossent import check_targets
from convnet.ops.crossent.cuda import types

_SOURCE = Path(__file__).with_name("bce.cu")


def fprop(dev: CudaDevice, labels: GPUArray, probs: GPUArray, values: GPUArray, *, pos_weight: float) -> Launch:
    """values = cost, share of wrong numbers, top-1 error of each case. labels, probs: (n, k); values: (n, 3)."""
    return _fprop(dev, "fprop", labels, probs, values, 3, pos_weight)


def fprop_counts(dev: CudaDevice, labels: GPUArray, probs: GPUArray, values: GPUArray, *, pos_weight: float) -> Launch:
    """values = cost, share of wrong numbers, counts of each case. labels, probs: (n, k); values: (n, 2 + 3k)."""
    return _fprop(dev, "fprop_counts", labels, probs, values, 2 + 3 * probs.shape[-1], pos_weight)


def bprop(
    dev: CudaDevice, labels: GPUArray, probs: GPUArray, dx: GPUArray, *, coeff: float, pos_weight: float,
    accumulate: bool,
) -> Launch:  # fmt: skip
    """dx (+)= the gradient with respect to the probabilities. labels, probs, dx: (n, k)."""
    return _bprop(dev, "bprop", labels, probs, dx, coeff, pos_weight, accumulate)


def bprop_logistic(
    dev: CudaDevice, labels: GPUArray, probs: GPUArray, dx: GPUArray, *, coeff: float, pos_weight: float,
    accumulate: bool,
) -> Launch:  # fmt: skip
    """dx (+)= the gradient with respect to the input of the logistic neuron. labels, probs, dx: (n, k)."""
    return _bprop(dev, "bprop_logistic", labels, probs, dx, coeff, pos_weight, accumulate)


def _fprop(
    dev: CudaDevice, name: str, labels: GPUArray, probs: GPUArray, values: GPUArray, columns: int, pos_weight: float
) -> Launch:
    check_targets("bce", labels, probs, values, (len(probs), columns))
    kernel = dev.kernel(_SOURCE, name, **types(dev, labels))
    return dev.call(kernel, *block_per_row(*probs.shape), labels, probs, values, probs.shape[1], float(pos_weight))


def _bprop(
    dev: CudaDevice, name: str, labels: GPUArray, probs: GPUArray, dx: GPUArray, coeff: float, pos_weight: float,
    accumulate: bool,
) -> Launch:  # fmt: skip
    check_targets("bce", labels, probs, dx, probs.shape)
    kernel = dev.kernel(_SOURCE, name, **types(dev, labels))
    factors = float(coeff), float(pos_weight), int(accumulate)
    return dev.per_item(kernel, dev.packs(dx.size), labels, probs, dx, np.int64(dx.size), *factors)
