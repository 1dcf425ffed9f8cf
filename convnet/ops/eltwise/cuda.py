"""Operations element by element on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.launches import in_turn

_SOURCE = Path(__file__).with_name("eltwise.cu")
_INPUTS = 8  # that the kernel of the maximum takes


def scale(dev: CudaDevice, x: GPUArray, y: GPUArray, *, coeff: float, accumulate: bool) -> Launch:
    """y (+)= coeff * x."""
    _check(x, y)
    kernel = dev.kernel(_SOURCE, "scale", **dev.act)
    return dev.per_item(kernel, dev.packs(y.size), x, y, np.int64(y.size), float(coeff), int(accumulate))


def fprop_sum(dev: CudaDevice, xs: list[GPUArray], y: GPUArray, *, coeffs: Sequence[float]) -> Launch:
    """y = the sum of coeffs[i] * xs[i], added in the order given; sums are float32."""
    if len(coeffs) != len(xs):
        raise ValueError(f"eltwise: {len(coeffs)} coefficients for {len(xs)} inputs")
    _check(*xs, y)
    pointers = dev.table(np.array([x.ptr for x in xs], np.uint64))
    factors = dev.table(np.array(coeffs, np.float32))
    kernel = dev.kernel(_SOURCE, "fprop_sum", **dev.act)
    return dev.per_item(kernel, dev.packs(y.size), pointers, factors, len(xs), y, np.int64(y.size))


def fprop_max(dev: CudaDevice, xs: list[GPUArray], y: GPUArray) -> Launch:
    """y = the largest of the inputs, of which there are at least two."""
    _check(*xs, y)
    kernel = dev.kernel(_SOURCE, "fprop_max", **dev.act)
    more = (xs[i : i + _INPUTS - 1] for i in range(_INPUTS, len(xs), _INPUTS - 1))
    groups = [xs[:_INPUTS], *([y, *others] for others in more)]
    return in_turn(
        [
            dev.per_item(kernel, dev.packs(y.size), y, np.int64(y.size), *group, *[None] * (_INPUTS - len(group)))
            for group in groups
        ]
    )


def bprop_max(dev: CudaDevice, dy: GPUArray, x: GPUArray, y: GPUArray, dx: GPUArray, *, accumulate: bool) -> Launch:
    """dx (+)= dy where x equals y."""
    _check(dy, x, y, dx)
    kernel = dev.kernel(_SOURCE, "bprop_max", **dev.act)
    return dev.per_item(kernel, dev.packs(y.size), dy, x, y, dx, np.int64(y.size), int(accumulate))


def _check(*arrays: GPUArray) -> None:
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"eltwise: expected arrays of one shape, found {shapes}")
