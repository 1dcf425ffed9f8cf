"""Convolution on a GPU as an implicit matrix product: windows are gathered on their way to shared memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import span
from convnet.backends.launches import in_turn
from convnet.ops.conv import ConvGeometry
from convnet.ops.conv.cuda_geometry import pack
from convnet.ops.conv.cuda_tiles import STEP, GemmSize, Reading, Tile, ceil_div, defines, shared
from convnet.ops.neuron import NeuronFunction

_FPROP, _BPROP_ACTS, _BPROP_WEIGHTS = (
    Path(__file__).with_name(f"{name}.cu") for name in ("fprop", "bprop_acts", "bprop_weights")
)
_START = 8  # steps of K that take as long as starting a block and storing its sums, in round figures
_ROUNDS = 8  # of blocks, at most, that K is cut for
_MOST = 1 << 24  # steps of a part, which kernels count in 32 bits


def fprop(
    dev: CudaDevice, tile: Tile, x: GPUArray, w: GPUArray, bias: GPUArray | None, y: GPUArray, g: ConvGeometry, *,
    accumulate: bool, neuron: NeuronFunction,
) -> Launch:  # fmt: skip
    """`y` = f(conv(x) [+ y] [+ bias])."""
    kernel = dev.kernel(_FPROP, "fprop", **defines(dev, tile, windows(dev, g)))
    of_modules = bias is not None and bias.size != g.filters
    return dev.call(
        kernel, (fprop_size(dev, g, len(x)).blocks(tile),), (tile.threads,), x, w, bias, y, pack(g, len(x)),
        int(of_modules), int(accumulate), neuron.code, neuron.a, neuron.b,
        shared=shared(dev, tile, True, False, tile.m),
    )  # fmt: skip


def bprop_acts(
    dev: CudaDevice, tile: Tile, dy: GPUArray, w: GPUArray, dx: GPUArray, g: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dx` (+)= the gradient."""
    vec = span(dev, g.filters // g.groups)
    kernel = dev.kernel(_BPROP_ACTS, "bprop_acts", **defines(dev, tile, Reading(vec, vec)))
    return dev.call(
        kernel, (bprop_acts_size(dev, g, len(dx)).blocks(tile),), (tile.threads,), dy, w, dx, pack(g, len(dx)),
        int(accumulate), shared=shared(dev, tile, True, True, tile.m + tile.n),
    )  # fmt: skip


def bprop_weights(
    dev: CudaDevice, tile: Tile, x: GPUArray, dy: GPUArray, dw: GPUArray, g: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient: sums over fixed parts of all modules of all cases, then their sum."""
    blocks = bprop_weights_size(dev, g, len(x)).blocks(tile)
    steps = ceil_div(len(x) * g.modules, STEP // dev.activations.itemsize)
    own = steps_of_part(blocks, steps, dev.processors * tile.blocks)
    parts = ceil_div(steps, own)
    sums = dw if parts == 1 else dev.workspace.reserve((parts * dw.size,))
    macros = defines(dev, tile, windows(dev, g))
    products = dev.call(
        dev.kernel(_BPROP_WEIGHTS, "bprop_weights", **macros), (blocks * parts,), (tile.threads,), x, dy, sums,
        pack(g, len(x)), own, int(accumulate and parts == 1), shared=shared(dev, tile, False, False, 0),
    )  # fmt: skip
    if parts == 1:
        return products
    total = dev.per_item(
        dev.kernel(_BPROP_WEIGHTS, "sum_parts", **macros), dw.size, sums, dw, np.int64(dw.size), parts, int(accumulate)
    )
    return in_turn([products, total])


def steps_of_part(tiles: int, steps: int, resident: int) -> int:
    """How many of K's steps one block takes, where a part has so many tiles and `resident` blocks run at a time.

    The time is about that of the rounds in which blocks take turns, each of a part's steps and some more for starting
    and storing.
    """

    def time(parts: int) -> int:
        return ceil_div(tiles * parts, resident) * (ceil_div(steps, parts) + _START)

    most = max(1, min(steps // _START, ceil_div(_ROUNDS * resident, tiles)))
    return min(_MOST, ceil_div(steps, min(range(1, most + 1), key=time)))


def fprop_size(_dev: CudaDevice, g: ConvGeometry, cases: int) -> GemmSize:
    """M = modules of all cases, N = filters of a group."""
    return GemmSize(cases * g.modules, g.filters // g.groups, g.groups)


def bprop_acts_size(_dev: CudaDevice, g: ConvGeometry, cases: int) -> GemmSize:
    """M = pixels of all cases in the largest of the stride x stride classes, N = channels of a group."""
    pixels = cases * ceil_div(g.maps.y, g.stride) * ceil_div(g.maps.x, g.stride)
    return GemmSize(pixels, g.filter_channels, g.groups * g.stride**2)


def bprop_weights_size(dev: CudaDevice, g: ConvGeometry, _cases: int) -> GemmSize:
    """M = taps of a filter, as they are read, N = filters of a group."""
    reading, taps = windows(dev, g), g.rows
    if reading.lines:
        taps = g.filter_size * ceil_div(g.filter_size * g.filter_channels, reading.vec_a) * reading.vec_a
    return GemmSize(taps, g.filters // g.groups, g.groups, parts=True)


def windows(dev: CudaDevice, g: ConvGeometry) -> Reading:
    """How windows and filters (or their gradients) are read: in pieces that divide channels, or else lines."""
    largest, channels = 16 // dev.activations.itemsize, g.filter_channels
    vec_b = span(dev, g.filters // g.groups)
    for vec in (largest, largest // 2):
        if channels % vec == 0:
            return Reading(vec, vec_b)
        if g.groups == 1 and not any(pixels * channels % vec for pixels in (g.stride, g.padding, g.maps.x)):
            return Reading(vec, vec_b, lines=True)
    return Reading(1, vec_b)
