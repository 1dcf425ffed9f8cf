"""Convolution on the CPU: a block of windows at a time, laid out as a matrix and multiplied while in the cache."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.bias.cpu import sum_rows
from convnet.ops.conv import ConvGeometry, check_shapes
from convnet.ops.conv.cpu_products import (
    BLOCK,
    gradients_by_filters,
    transpose,
    windows_by_filters,
    windows_by_gradients,
)
from convnet.ops.conv.cpu_windows import Windows, add, gather, room, scatter, windows
from convnet.ops.conv.order import weights_from_memory, weights_to_memory
from convnet.ops.neuron import IDENT, NeuronFunction
from convnet.ops.neuron.cpu import apply

__all__ = [
    "add_bias", "bprop_acts", "bprop_weights", "fprop", "weights_from_memory", "weights_to_memory",
]  # fmt: skip

_PARTS = 8  # partial sums of the filters' gradient, whatever the number of threads


def fprop(
    dev: CpuDevice, x: Array, w: Array, bias: Array | None, y: Array, geometry: ConvGeometry, *, accumulate: bool,
    neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """`y` = f(conv(x) [+ y] [+ bias])."""
    n = check_shapes(x, w, y, geometry)
    if bias is not None and bias.shape not in ((geometry.filters,), (geometry.modules * geometry.filters,)):
        raise ValueError(f"conv: bias of shape {bias.shape} for {geometry}")
    f, real = neuron or IDENT, y.dtype.type
    g, positions = windows(geometry), n * geometry.modules
    return dev.parallel(
        _fprop, -(-positions // BLOCK), x.reshape(-1), w.reshape(-1), np.empty(0, y.dtype) if bias is None else bias,
        y.reshape(-1), g, geometry.groups, geometry.filters, positions, accumulate, f.code, real(f.a), real(f.b),
        room(g, BLOCK, y.dtype),
    )  # fmt: skip


def bprop_acts(dev: CpuDevice, dy: Array, w: Array, dx: Array, geometry: ConvGeometry, *, accumulate: bool) -> Launch:
    """`dx` (+)= the gradient; one item is one case."""
    n, g = check_shapes(dx, w, dy, geometry), windows(geometry)
    transposed = dev.workspace.reserve((w.size,), w.dtype)
    transposition = dev.parallel(transpose, 1, w.reshape(-1), *w.shape, transposed)
    gradients = dev.parallel(
        _bprop_acts, n, dy.reshape(-1), transposed, dx.reshape(-1), g, geometry.groups, geometry.filters, accumulate,
        room(g, BLOCK, dx.dtype),
    )  # fmt: skip

    def launch() -> None:
        transposition()
        gradients()

    return launch


def bprop_weights(
    dev: CpuDevice, x: Array, dy: Array, dw: Array, geometry: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient: partial sums over fixed ranges of cases, then their sum."""
    n, g = check_shapes(x, dw, dy, geometry), windows(geometry)
    parts = min(_PARTS, n)
    partial = dev.workspace.reserve((parts * dw.size,), dw.dtype)
    sums = dev.parallel(
        _bprop_weights, parts, x.reshape(-1), dy.reshape(-1), partial, g, geometry.groups, geometry.filters, n, parts,
        room(g, BLOCK, dw.dtype),
    )  # fmt: skip
    total = sum_rows(dev, partial, parts, dw.reshape(-1), accumulate=accumulate)

    def launch() -> None:
        sums()
        total()

    return launch


@kernel
def _fprop(
    start: int, stop: int, x: Array, w: Array, bias: Array, y: Array, g: Windows, groups: int, filters: int,
    positions: int, accumulate: bool, code: int, fa: float, fb: float, patches: Array,
) -> None:  # fmt: skip
    """Blocks start..stop of positions."""
    rows, step, width = g.rows, g.step, filters // groups
    for first in range(start * BLOCK, min(positions, stop * BLOCK), BLOCK):
        count = min(BLOCK, positions - first)
        for group in range(groups):
            gather(x, g, group * g.filter_channels, first, 1, count, patches)
            windows_by_filters(patches, step, count, rows, w[group * width :], filters, width, accumulate,
                               y[first * filters + group * width :], filters)  # fmt: skip
        add_bias(bias, y, first, count, filters)
        apply(code, fa, fb, y, first * filters, (first + count) * filters)


@kernel
def add_bias(bias: Array, y: Array, first: int, count: int, filters: int) -> None:
    """Add the bias, if there is one, to `count` positions; it repeats after its own length."""
    for position in range(first, first + count if bias.size else first):
        at = position * filters
        add(y, at, bias, at % bias.size, filters)


@kernel
def _bprop_acts(
    start: int, stop: int, dy: Array, w: Array, dx: Array, g: Windows, groups: int, filters: int, accumulate: bool,
    patches: Array,
) -> None:  # fmt: skip
    """Cases start..stop; w is transposed."""
    rows, step, width = g.rows, g.step, filters // groups
    modules, features = g.modules_y * g.modules_x, g.height * g.width * g.channels
    if not accumulate:
        dx[start * features : stop * features] = 0
    for case in range(start, stop):
        for first in range(case * modules, (case + 1) * modules, BLOCK):
            count = min(BLOCK, (case + 1) * modules - first)
            for group in range(groups):
                gradients_by_filters(dy[first * filters + group * width :], filters, count, w[group * width * rows :],
                                     width, rows, patches, step)  # fmt: skip
                scatter(patches, g, group * g.filter_channels, first, 1, count, dx)


@kernel
def _bprop_weights(
    start: int, stop: int, x: Array, dy: Array, partial: Array, g: Windows, groups: int, filters: int, cases: int,
    parts: int, patches: Array,
) -> None:  # fmt: skip
    """Partial sums start..stop, each over its own range of cases."""
    rows, step, width = g.rows, g.step, filters // groups
    modules = g.modules_y * g.modules_x
    for part in range(start, stop):
        begin, end = cases * part // parts * modules, cases * (part + 1) // parts * modules
        for first in range(begin, end, BLOCK):
            count = min(BLOCK, end - first)
            for group in range(groups):
                gather(x, g, group * g.filter_channels, first, 1, count, patches)
                windows_by_gradients(
                    patches, step, count, rows, dy[first * filters + group * width :], filters, width, first > begin,
                    partial[part * rows * filters + group * width :], filters,
                )  # fmt: skip
