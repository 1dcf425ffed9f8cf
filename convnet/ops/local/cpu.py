"""Locally connected filters on the CPU: for each module, the windows of many cases times the module's filters."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.backends.launches import in_turn
from convnet.ops.conv import check_shapes
from convnet.ops.conv.cpu_finish import finish
from convnet.ops.conv.cpu_windows import Windows, windows
from convnet.ops.local import LocalGeometry
from convnet.ops.local.cpu_products import (
    BLOCK,
    gradients_by_filters,
    transpose,
    windows_by_filters,
    windows_by_gradients,
)
from convnet.ops.local.cpu_windows import gather, room, scatter, window_step
from convnet.ops.local.order import weights_from_memory, weights_to_memory
from convnet.ops.neuron import IDENT, NeuronFunction

__all__ = ["bprop_acts", "bprop_weights", "fprop", "weights_from_memory", "weights_to_memory"]

# Cases whose gradients one item of `bprop_acts` adds up, and the items wanted of a small minibatch: more cases make
# wider products, but all filters are read once for each item.
_CASES = 32
_ITEMS = 8


def fprop(
    dev: CpuDevice, x: Array, w: Array, bias: Array | None, y: Array, geometry: LocalGeometry, *, accumulate: bool,
    neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """`y` = f(local(x) [+ y] [+ bias])."""
    n = check_shapes(x, w, y, geometry)
    if bias is not None and bias.shape != (geometry.modules * geometry.filters,):
        raise ValueError(f"local: bias of shape {bias.shape} for {geometry}")
    f, g, real = neuron or IDENT, windows(geometry), y.dtype.type
    return dev.parallel(
        _fprop, geometry.modules, x.reshape(-1), w.reshape(-1), np.empty(0, y.dtype) if bias is None else bias,
        y.reshape(-1), g, geometry.groups, geometry.filters, n, accumulate, f.code, real(f.a), real(f.b),
        room(g, BLOCK, y.dtype),
    )  # fmt: skip


def bprop_acts(dev: CpuDevice, dy: Array, w: Array, dx: Array, geometry: LocalGeometry, *, accumulate: bool) -> Launch:
    """`dx` (+)= the gradient; one item is some cases, because the windows of modules overlap."""
    n, g = check_shapes(dx, w, dy, geometry), windows(geometry)
    cases = min(_CASES, -(-n // _ITEMS))
    transposed = dev.workspace.reserve((w.size,), w.dtype)
    transposition = dev.parallel(
        transpose, geometry.modules, w.reshape(-1), geometry.rows, geometry.filters, transposed
    )
    gradients = dev.parallel(
        _bprop_acts, -(-n // cases), dy.reshape(-1), transposed, dx.reshape(-1), g, geometry.groups, geometry.filters,
        n, cases, accumulate, room(g, cases, dx.dtype),
    )  # fmt: skip
    return in_turn([transposition, gradients])


def bprop_weights(
    dev: CpuDevice, x: Array, dy: Array, dw: Array, geometry: LocalGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient; one item is one module."""
    n, g = check_shapes(x, dw, dy, geometry), windows(geometry)
    return dev.parallel(
        _bprop_weights, geometry.modules, x.reshape(-1), dy.reshape(-1), dw.reshape(-1), g, geometry.groups,
        geometry.filters, n, accumulate, room(g, BLOCK, dw.dtype),
    )  # fmt: skip


@kernel
def _fprop(
    start: int, stop: int, x: Array, w: Array, bias: Array, y: Array, g: Windows, groups: int, filters: int, cases: int,
    accumulate: bool, code: int, fa: float, fb: float, patches: Array,
) -> None:  # fmt: skip
    """Modules start..stop."""
    modules, rows, step, width = g.modules_y * g.modules_x, g.rows, window_step(g.rows), filters // groups
    for module in range(start, stop):
        for case in range(0, cases, BLOCK):
            count = min(BLOCK, cases - case)
            first = case * modules + module
            for group in range(groups):
                gather(x, g, group * g.filter_channels, first, modules, count, patches)
                windows_by_filters(
                    patches, step, count, rows, w[module * rows * filters + group * width :], filters, width,
                    accumulate, y[first * filters + group * width :], modules * filters,
                )  # fmt: skip
            for position in range(first, first + count * modules, modules):
                finish(y, position, position + 1, filters, bias, bias.size > 0, code, fa, fb)


@kernel
def _bprop_acts(
    start: int, stop: int, dy: Array, w: Array, dx: Array, g: Windows, groups: int, filters: int, cases: int,
    item: int, accumulate: bool, patches: Array,
) -> None:  # fmt: skip
    """Items start..stop of `item` cases each; w is transposed, module by module."""
    modules, rows, step, width = g.modules_y * g.modules_x, g.rows, window_step(g.rows), filters // groups
    features = g.height * g.width * g.channels
    for case in range(start * item, min(cases, stop * item), item):
        count = min(item, cases - case)
        if not accumulate:
            dx[case * features : (case + count) * features] = 0
        for module in range(modules):
            first = case * modules + module
            for group in range(groups):
                gradients_by_filters(
                    dy[first * filters + group * width :], modules * filters, count,
                    w[(module * filters + group * width) * rows :], width, rows, patches, step,
                )  # fmt: skip
                scatter(patches, g, group * g.filter_channels, first, modules, count, dx)


@kernel
def _bprop_weights(
    start: int, stop: int, x: Array, dy: Array, dw: Array, g: Windows, groups: int, filters: int, cases: int,
    accumulate: bool, patches: Array,
) -> None:  # fmt: skip
    """Modules start..stop."""
    modules, rows, step, width = g.modules_y * g.modules_x, g.rows, window_step(g.rows), filters // groups
    for module in range(start, stop):
        for case in range(0, cases, BLOCK):
            count = min(BLOCK, cases - case)
            first = case * modules + module
            for group in range(groups):
                gather(x, g, group * g.filter_channels, first, modules, count, patches)
                windows_by_gradients(
                    patches, step, count, rows, dy[first * filters + group * width :], modules * filters, width,
                    accumulate or case > 0, dw[module * rows * filters + group * width :], filters,
                )  # fmt: skip
