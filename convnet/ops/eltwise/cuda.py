"""Operations element by element on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch

_SOURCE = Path(__file__).with_name("eltwise.cu")
_INPUTS = 8  # that the kernel of the maximum takes


def scale(dev: CudaDevice, x: GPUArray, y: GPUArray, *, coeff: float, accumulate: bool) -> Launch:
    """y (+)= coeff * x."""
    _check(x, y)
    kernel = dev.kernel(_SOURCE, "scale", **dev.act)
    return dev.per_item(kernel, dev.packs(y.size), x, y, np.int64(y.size), float(coeff), int(accumulate))


def fprop_max(dev: CudaDevice, xs: list[GPUArray], y: GPUArray) -> Launch:
    """y = the largest of the inputs, of which there are at least two."""
    _check(*xs, y)
    kernel = dev.kernel(_SOURCE, "fprop_max", **dev.act)
    more = (xs[i : i + _INPUTS - 1] for i in range(_INPUTS, len(xs), _INPUTS - 1))
    groups = [xs[:_INPUTS], *([y, *others] for others in more)]
    launches = [
        dev.per_item(kernel, dev.packs(y.size), y, np.int64(y.size), *group, *[None] * (_INPUTS - len(group)))
        for group in groups
    ]

    def launch() -> None:
        for one in launches:
            one()

    return launch


def bprop_max(dev: CudaDevice, dy: GPUArray, x: GPUArray, y: GPUArray, dx: GPUArray, *, accumulate: bool) -> Launch:
    """dx (+)= dy where x equals y."""
    _check(dy, x, y, dx)
    kernel = dev.kernel(_SOURCE, "bprop_max", **dev.act)
    return dev.per_item(kernel, dev.packs(y.size), dy, x, y, dx, np.int64(y.size), int(accumulate))


def _check(*arrays: GPUArray) -> None:
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"eltwise: expected arrays of one shape, found {shapes}")
