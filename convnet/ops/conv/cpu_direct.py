"""Convolution where the maps lie: tiles of neighbouring positions times a block of filters."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, Cases, CpuDevice, Launch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.tile import multiply, tile_of
from convnet.backends.cpu.vectors import address
from convnet.backends.launches import in_turn
from convnet.ops.conv import ConvGeometry
from convnet.ops.conv.cpu_bands import Bands, bands, room
from convnet.ops.conv.cpu_filters import block_width, pack_filters, packed_size, whole_vectors
from convnet.ops.conv.cpu_finish import finish
from convnet.ops.conv.cpu_rows import widen
from convnet.ops.conv.cpu_windows import Windows, windows
from convnet.ops.neuron import IDENT, NeuronFunction

_RELU, _IDENT = NeuronFunction("relu").code, IDENT.code


def fprop(
    dev: CpuDevice, x: Array, w: Array, bias: Array | None, y: Array, geometry: ConvGeometry, *, accumulate: bool,
    neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """`y` = f(conv(x) [+ y] [+ bias])."""
    f, g, real, filters, groups = neuron or IDENT, windows(geometry), y.dtype.type, geometry.filters, geometry.groups
    packed = dev.workspace.reserve((packed_size(g.rows, filters // groups, groups, w.itemsize),), w.dtype)
    packing = dev.parallel(pack_filters, g.rows, w.reshape(-1), g.rows, filters, groups, packed)
    width = (g.modules_x - 1) * g.stride + g.size
    cut = bands(
        len(x), g.modules_y, lambda rows: (rows - 1) * g.stride + g.size, g.channels * x.itemsize,
        wide=g.padding > 0 or width > g.width, left=g.padding, width=width,
    )  # fmt: skip
    products = dev.parallel(
        _fprop, len(x) * cut.number, tile_of(y.dtype), x.reshape(-1), packed,
        np.empty(0, y.dtype) if bias is None else bias, y.reshape(-1), g, cut, groups, filters, accumulate, f.code,
        real(f.a), real(f.b), room(cut, g.channels, x.dtype), cases=Cases(len(x)),
    )  # fmt: skip
    return in_turn([packing, products])


@kernel
def _fprop(
    start: int, stop: int, tile: int, x: Array, w: Array, bias: Array, y: Array, g: Windows, cut: Bands, groups: int,
    filters: int, accumulate: bool, code: int, fa: float, fb: float, wide: Array,
) -> None:  # fmt: skip
    """Bands start..stop, counted over all cases."""
    width, block, shared = filters // groups, block_width(x.itemsize), bias.size == filters
    late = bias.size > 0 and (accumulate or not shared)  # the bias is added when the tiles are done, not before
    relu = 1 if code == _RELU and not late else 0
    for item in range(start, stop):
        case, band = divmod(item, cut.number)
        first, last = g.modules_y * band // cut.number, g.modules_y * (band + 1) // cut.number
        source, row_step, top = _rows(x, g, cut, case, first, last, wide)
        for number in range(groups * -(-width // block)):
            group, k = divmod(number, -(-width // block))
            columns, f = min(block, width - k * block), group * width + k * block
            step = whole_vectors(columns, x.itemsize)
            filters_at = g.rows * (group * whole_vectors(width, x.itemsize) + k * block)
            for p in range(first, last):
                to = address(y, ((case * g.modules_y + p) * g.modules_x) * filters + f)
                before = (1, to, filters) if accumulate else (1 if shared else 0, address(bias, f), 0)
                _multiply_row(tile, source - top * row_step * x.itemsize, row_step, w, filters_at, step, g, groups,
                              group, p, columns, (to, filters), before, relu)  # fmt: skip
        at, count = (case * g.modules_y + first) * g.modules_x, (last - first) * g.modules_x
        finish(y, at, at + count, filters, bias, late, _IDENT if relu else code, fa, fb)


@inlined
def _rows(x: Array, g: Windows, cut: Bands, case: int, first: int, last: int, wide: Array) -> tuple[int, int, int]:
    """The rows that modules first..last see: their address, numbers from row to row, and which is the first."""
    line = g.width * g.channels
    top = max(0, first * g.stride - g.padding)
    at = (case * g.height + top) * line
    if not cut.wide:
        return address(x, at), line, top
    bottom = min(g.height, (last - 1) * g.stride - g.padding + g.size)
    widen(x, at, max(0, bottom - top), g.width, g.channels, cut.left, cut.width, wide)
    return address(wide, 0), cut.width * g.channels, top


@inlined
def _multiply_row(
    tile: int, image: int, row_step: int, w: Array, at: int, step: int, g: Windows, groups: int, group: int, p: int,
    columns: int, y: tuple[int, int], before: tuple[int, int, int], relu: int,
) -> None:  # fmt: skip
    """Row p of the modules. `image`: where row 0 of the image would lie; `at`, `step`: of the filters in w."""
    size, taps_of_row = w.itemsize, g.size * g.filter_channels
    above = p * g.stride - g.padding
    r0 = max(0, -above)  # rows r0..r1 of the windows lie inside the image
    r1 = max(r0, min(g.size, g.height - above))
    rows, taps, channels = (r1 - r0, row_step, taps_of_row * step), (1, 0, 0), (taps_of_row, 1, step)
    if groups > 1:
        taps, channels = (g.size, g.channels, g.filter_channels * step), (g.filter_channels, 1, step)
    multiply(
        tile, size, g.modules_x,
        (image + ((above + r0) * row_step + group * g.filter_channels) * size, g.stride * g.channels),
        address(w, at + r0 * taps_of_row * step), (rows, taps, channels), columns, y, before, relu, 1,
    )  # fmt: skip
