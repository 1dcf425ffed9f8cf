"""Contrast normalization on a GPU."""

from __future__ import annotations

from pathlib import Path

from convnet.backends.cuda.checks import check_alike
from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.ops.rnorm import Normalization
from convnet.ops.rnorm.cuda_strips import launch

_SOURCE = Path(__file__).with_name("cnorm.cu")


def fprop(dev: CudaDevice, x: GPUArray, y: GPUArray, norm: Normalization) -> Launch:
    """y = x * d^-power."""
    check_alike("cnorm", x, y)
    return launch(dev, _SOURCE, "fprop", norm, [x, y], planes=2, reaches=2)


def bprop(
    dev: CudaDevice, dy: GPUArray, x: GPUArray, dx: GPUArray, norm: Normalization, *, accumulate: bool
) -> Launch:  # fmt: skip
    """dx (+)= the gradient of fprop."""
    check_alike("cnorm", dy, x, dx)
    return launch(dev, _SOURCE, "bprop", norm, [dy, x, dx], int(accumulate), planes=4, reaches=4)
