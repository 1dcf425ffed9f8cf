"""The gradient of filters where the maps lie: tiles of taps times a block of filters, added up over positions."""

from __future__ import annotations

from typing import Any, NamedTuple

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.tile import multiply, tile_of
from convnet.backends.cpu.vectors import address
from convnet.backends.launches import in_turn
from convnet.ops.bias.cpu import sum_rows
from convnet.ops.conv import ConvGeometry
from convnet.ops.conv.cpu_filters import block_columns, block_width
from convnet.ops.conv.cpu_rows import widen
from convnet.ops.conv.cpu_windows import Windows, windows

_ITEMS = 24  # wanted of a launch; below, the cases are added up in parts
_FEW_CHANNELS = 16  # up to so many, rows are widened so that the taps of a row make one tile
_BAND = 24 << 10  # bytes of gradients that all taps read one after the other: a share of the first-level cache


class Cut(NamedTuple):
    """How the work is cut.

    parts: partial sums, each over its share of the cases. rows: of modules that all taps go over before the next ones.
    joined: whether the taps of a row make one tile. wide: pixels of widened rows; 0: rows are taken as they lie.
    """

    parts: int
    rows: int
    joined: bool
    wide: int


def bprop_weights(
    dev: CpuDevice, x: Array, dy: Array, dw: Array, geometry: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient; an item is a block of filters over some of the cases."""
    g, groups = windows(geometry), geometry.groups
    items = groups * -(-(geometry.filters // groups) // block_columns(x.itemsize))
    cut = _cut(g, groups, max(1, min(len(x), -(-_ITEMS // items))), x.itemsize)
    rows = Scratch((((cut.rows - 1) * g.stride + g.size) * cut.wide * g.channels,), x.dtype)

    def sums(target: Any, add: bool) -> Launch:
        return dev.parallel(
            _bprop_weights, items * cut.parts, tile_of(x.dtype), x.reshape(-1), dy.reshape(-1), target, g, cut, groups,
            geometry.filters, len(x), add, rows,
        )  # fmt: skip

    if cut.parts == 1:
        return sums(dw.reshape(-1), accumulate)
    partial = dev.workspace.reserve((cut.parts * dw.size,), dw.dtype)
    return in_turn([sums(partial, False), sum_rows(dev, partial, cut.parts, dw.reshape(-1), accumulate=accumulate)])


def _cut(g: Windows, groups: int, parts: int, itemsize: int) -> Cut:
    last = (g.modules_x - 1) * g.stride + g.size
    inside = g.padding == 0 and last <= g.width
    joined = groups == 1 and (inside or g.channels <= _FEW_CHANNELS)
    rows = max(1, min(g.modules_y, _BAND // (g.modules_x * block_columns(itemsize) * itemsize)))
    return Cut(parts, rows, joined, last if joined and not inside else 0)


@kernel
def _bprop_weights(
    start: int, stop: int, tile: int, x: Array, dy: Array, dw: Array, g: Windows, cut: Cut, groups: int, filters: int,
    cases: int, accumulate: bool, wide: Array,
) -> None:  # fmt: skip
    """Items start..stop, counted over parts, groups and blocks of filters."""
    width, block = filters // groups, block_width(x.itemsize)
    blocks = -(-width // block)
    for item in range(start, stop):
        rest, k = divmod(item, blocks)
        part, group = divmod(rest, groups)
        columns, f = min(block, width - k * block), group * width + k * block
        first_case, last_case = cases * part // cut.parts, cases * (part + 1) // cut.parts
        if first_case == last_case and not accumulate:
            for row in range(part * g.rows, (part + 1) * g.rows):
                dw[row * filters + f : row * filters + f + columns] = 0
        for case in range(first_case, last_case):
            for p in range(0, g.modules_y, cut.rows):
                begin = 1 if accumulate or case > first_case or p > 0 else 0
                _add_band(tile, x, dy, address(dw, part * g.rows * filters + f), g, cut, group * g.filter_channels, f,
                          columns, filters, case, p, min(cut.rows, g.modules_y - p), begin, wide)  # fmt: skip


@inlined
def _add_band(
    tile: int, x: Array, dy: Array, dw: int, g: Windows, cut: Cut, first_channel: int, f: int, columns: int,
    filters: int, case: int, first: int, count: int, begin: int, wide: Array,
) -> None:  # fmt: skip
    """What `count` rows of modules of a case add to all taps of a block of filters."""
    size, line, taps_of_row = x.itemsize, g.width * g.channels, g.size * g.filter_channels
    top = max(0, first * g.stride - g.padding)
    at = (case * g.height + top) * line
    source, row_step = address(x, at + first_channel), line
    if cut.wide > 0:
        rows = min(g.height, (first + count - 1) * g.stride - g.padding + g.size) - top
        widen(x, at, rows, g.width, g.channels, g.padding, cut.wide, wide)
        source, row_step = address(wide, 0), cut.wide * g.channels
    for r in range(g.size):
        # Modules whose row r lies inside the image.
        p0, p1 = _inside(r - g.padding, g.stride, g.height, first, first + count)
        over = source + (p0 * g.stride - g.padding + r - top) * row_step * size
        for s in range(1 if cut.joined else g.size):
            taps, q0, q1, left = taps_of_row, 0, g.modules_x, 0
            if not cut.joined:
                q0, q1 = _inside(s - g.padding, g.stride, g.width, 0, g.modules_x)
                taps, left = g.filter_channels, q0 * g.stride + s - g.padding
            target = dw + (r * taps_of_row + s * g.filter_channels) * filters * size
            multiply(
                tile, size, taps, (over + left * g.channels * size, 1),
                address(dy, ((case * g.modules_y + p0) * g.modules_x + q0) * filters + f),
                ((1, 0, 0), (p1 - p0, g.stride * row_step, g.modules_x * filters),
                 (q1 - q0, g.stride * g.channels, filters)),
                columns, (target, filters), (begin, target, filters), 0, 0,
            )  # fmt: skip


@inlined
def _inside(offset: int, stride: int, image: int, first: int, last: int) -> tuple[int, int]:
    """The modules of first..last whose tap, `offset` pixels from module * stride, lies inside the image."""
    begin = min(last, max(first, -(offset // stride)))
    return begin, max(begin, min(last, (image - 1 - offset) // stride + 1))
