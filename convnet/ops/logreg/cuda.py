"""Multinomial logistic regression on a GPU: a block for each case, or a thread for each class of a case."""

from __future__ import annotations

from pathlib import Path

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import block_per_row, rows_and_columns
from convnet.ops.logreg import targets

_SOURCE = Path(__file__).with_name("logreg.cu")


def fprop(
    dev: CudaDevice, labels: GPUArray, probs: GPUArray, values: GPUArray, *, topk: int, smoothing: float
) -> Launch:
    """values = -sum t log p, top-1 error, top-k error of each case. labels: (n, 1); probs: (n, k); values: (n, 3)."""
    _check(labels, probs, values, (len(probs), 3))
    kernel = dev.kernel(_SOURCE, "fprop", **dev.act)
    return dev.call(kernel, *block_per_row(*probs.shape), labels, probs, values, probs.shape[1], topk, float(smoothing))


def bprop(
    dev: CudaDevice, labels: GPUArray, probs: GPUArray, dx: GPUArray, *, coeff: float, smoothing: float,
    accumulate: bool,
) -> Launch:  # fmt: skip
    """dx (+)= the gradient with respect to the probabilities. labels: (n, 1); probs, dx: (n, k)."""
    return _bprop(dev, "bprop", labels, probs, dx, coeff, smoothing, accumulate)


def bprop_softmax(
    dev: CudaDevice, labels: GPUArray, probs: GPUArray, dx: GPUArray, *, coeff: float, smoothing: float,
    accumulate: bool,
) -> Launch:  # fmt: skip
    """dx (+)= the gradient with respect to the input of the softmax. labels: (n, 1); probs, dx: (n, k)."""
    return _bprop(dev, "bprop_softmax", labels, probs, dx, coeff, smoothing, accumulate)


def _bprop(
    dev: CudaDevice, name: str, labels: GPUArray, probs: GPUArray, dx: GPUArray, coeff: float, smoothing: float,
    accumulate: bool,
) -> Launch:  # fmt: skip
    _check(labels, probs, dx, probs.shape)
    cases, classes = probs.shape
    kernel = dev.kernel(_SOURCE, name, **dev.act)
    grid = rows_and_columns(cases, classes)
    factors = float(coeff), *map(float, targets(classes, smoothing))
    return dev.call(kernel, *grid, labels, probs, dx, cases, classes, *factors, int(accumulate))


def _check(labels: GPUArray, probs: GPUArray, target: GPUArray, expected: tuple[int, ...]) -> None:
    if labels.shape != (len(probs), 1) or target.shape != expected:
        shapes = labels.shape, probs.shape, target.shape
        raise ValueError(f"logreg: labels, probabilities and target of shapes {shapes} do not fit together")
