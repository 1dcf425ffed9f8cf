"""Convolution on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from convnet.backends.cuda.choice import Prepare, choose
from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.ops.conv import ConvGeometry, check_shapes
from convnet.ops.conv import cuda_im2col as im2col
from convnet.ops.conv import cuda_implicit as implicit
from convnet.ops.conv.cuda_tiles import GemmSize, best, tiles
from convnet.ops.conv.cuda_windows import fits
from convnet.ops.conv.order import weights_from_memory, weights_to_memory
from convnet.ops.neuron import IDENT, NeuronFunction

__all__ = ["bprop_acts", "bprop_weights", "fprop", "weights_from_memory", "weights_to_memory"]

_HERE = Path(__file__).parent
_SOURCES = (*_HERE.glob("*.cu*"), *_HERE.glob("cuda_*.py"))


@dataclass(frozen=True)
class Direction:
    """One of the three functions: by either engine, and how large it is as a matrix product."""

    implicit: Callable[..., Launch]
    im2col: Callable[..., Launch]
    size: Callable[[CudaDevice, ConvGeometry, int], GemmSize]

    def candidates(self, dev: CudaDevice, geometry: ConvGeometry, **options: Any) -> dict[str, Prepare]:
        """The ways to prepare it, by name; each takes the arrays."""
        ways: dict[str, Prepare] = {
            str(tile): partial(self.implicit, dev, tile, g=geometry, **options) for tile in tiles(dev)
        }
        if fits(geometry):
            ways["im2col"] = partial(self.im2col, dev, g=geometry, **options)
        return ways

    def launch(
        self, dev: CudaDevice, cases: int, arrays: tuple[GPUArray | None, ...], geometry: ConvGeometry, **options: Any
    ) -> Launch:
        """The launch of the best candidate."""
        return choose(
            dev, (self.implicit.__qualname__, geometry, options), self.candidates(dev, geometry, **options), arrays,
            by_rule=str(best(dev, self.size(dev, geometry, cases))), sources=_SOURCES,
        )  # fmt: skip


FPROP = Direction(implicit.fprop, im2col.fprop, implicit.fprop_size)
BPROP_ACTS = Direction(implicit.bprop_acts, im2col.bprop_acts, implicit.bprop_acts_size)
BPROP_WEIGHTS = Direction(implicit.bprop_weights, im2col.bprop_weights, implicit.bprop_weights_size)


def fprop(
    dev: CudaDevice, x: GPUArray, w: GPUArray, bias: GPUArray | None, y: GPUArray, geometry: ConvGeometry, *,
    accumulate: bool, neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """`y` = f(conv(x) [+ y] [+ bias])."""
    check_shapes(x, w, y, geometry)
    if bias is not None and bias.shape not in ((geometry.filters,), (geometry.modules * geometry.filters,)):
        raise ValueError(f"conv: bias of shape {bias.shape} for {geometry}")
    return FPROP.launch(dev, len(x), (x, w, bias, y), geometry, accumulate=accumulate, neuron=neuron or IDENT)


def bprop_acts(
    dev: CudaDevice, dy: GPUArray, w: GPUArray, dx: GPUArray, geometry: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dx` (+)= the gradient."""
    check_shapes(dx, w, dy, geometry)
    return BPROP_ACTS.launch(dev, len(dx), (dy, w, dx), geometry, accumulate=accumulate)


def bprop_weights(
    dev: CudaDevice, x: GPUArray, dy: GPUArray, dw: GPUArray, geometry: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient, summed over the cases."""
    check_shapes(x, dw, dy, geometry)
    return BPROP_WEIGHTS.launch(dev, len(x), (x, dy, dw), geometry, accumulate=accumulate)
