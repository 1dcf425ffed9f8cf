"""The gradient of maps where that of the outputs lies: tiles of pixels times a block of channels.

Pixels that are `stride` apart are seen by the same taps: they make a tile.
"""

from __future__ import annotations

from convnet.backends.cpu.device import Array, Cases, CpuDevice, Launch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.tile import multiply, tile_of
from convnet.backends.cpu.vectors import address
from convnet.backends.launches import in_turn
from convnet.ops.conv import ConvGeometry
from convnet.ops.conv.cpu_bands import Bands, bands, room
from convnet.ops.conv.cpu_filters import block_width, pack_channels, packed_size, whole_vectors
from convnet.ops.conv.cpu_rows import widen
from convnet.ops.conv.cpu_windows import Windows, windows


def bprop_acts(dev: CpuDevice, dy: Array, w: Array, dx: Array, geometry: ConvGeometry, *, accumulate: bool) -> Launch:
    """`dx` (+)= the gradient."""
    g, taps, filters, groups = windows(geometry), geometry.filter_size**2, geometry.filters, geometry.groups
    channels = geometry.filter_channels
    packed = dev.workspace.reserve((packed_size(taps * (filters // groups), channels, groups, w.itemsize),), w.dtype)
    packing = dev.parallel(pack_channels, taps, w.reshape(-1), taps, channels, filters, groups, packed)
    before, first = (g.size - 1) // g.stride, g.padding // g.stride
    cut = bands(
        len(dy), g.height, lambda rows: rows // g.stride + before + 2, filters * dy.itemsize, wide=True,
        left=before - first, width=before + 1 + (g.width - 1 + g.padding) // g.stride - first,
    )  # fmt: skip
    gradients = dev.parallel(
        _bprop_acts, len(dy) * cut.number, tile_of(dx.dtype), dy.reshape(-1), packed, dx.reshape(-1), g, cut, groups,
        filters, accumulate, room(cut, filters, dy.dtype), cases=Cases(len(dy)),
    )  # fmt: skip
    return in_turn([packing, gradients])


@kernel
def _bprop_acts(
    start: int, stop: int, tile: int, dy: Array, w: Array, dx: Array, g: Windows, cut: Bands, groups: int,
    filters: int, accumulate: bool, wide: Array,
) -> None:  # fmt: skip
    """Bands start..stop, counted over all cases."""
    channels, width, block = g.filter_channels, filters // groups, block_width(dx.itemsize)
    row_step = cut.width * filters
    for item in range(start, stop):
        case, band = divmod(item, cut.number)
        first, last = g.height * band // cut.number, g.height * (band + 1) // cut.number
        # Rows of modules that see these pixels.
        top = min(g.modules_y, max(0, (first + g.padding) // g.stride - (g.size - 1) // g.stride))
        bottom = max(top, min(g.modules_y, (last - 1 + g.padding) // g.stride + 1))
        widen(dy, (case * g.modules_y + top) * g.modules_x * filters, bottom - top, g.modules_x, filters, cut.left,
              cut.width, wide)  # fmt: skip
        image = address(wide, 0) - top * row_step * dx.itemsize
        for c in range(groups * -(-channels // block)):
            group, k = divmod(c, -(-channels // block))
            columns = min(block, channels - k * block)
            at = g.size * g.size * width * (group * whole_vectors(channels, dx.itemsize) + k * block)
            for i in range(first, last):
                to = address(dx, (case * g.height + i) * g.width * g.channels + group * channels + k * block)
                _multiply_row(tile, image + group * width * dx.itemsize, row_step, w, at, g, width, filters, i,
                              columns, to, 1 if accumulate else 0)  # fmt: skip


@inlined
def _multiply_row(
    tile: int, image: int, row_step: int, w: Array, at: int, g: Windows, width: int, filters: int, i: int,
    columns: int, to: int, begin: int,
) -> None:  # fmt: skip
    """Row i of the pixels, one phase of the stride after the other. `at`: of the filters in w."""
    size, step = w.itemsize, whole_vectors(columns, w.itemsize)
    before, first = (g.size - 1) // g.stride, g.padding // g.stride
    # Window p - j sees row i with its row r + j * stride, and windows j0 <= j < j1 are there.
    p, r = divmod(i + g.padding, g.stride)
    j0 = max(0, p - g.modules_y + 1)
    j1 = max(j0, min(p + 1, (g.size - r + g.stride - 1) // g.stride))
    rows = (j1 - j0, -row_step, g.stride * g.size * width * step)
    for phase in range(min(g.stride, g.width)):
        q, s = divmod(phase + g.padding, g.stride)
        taps = max(0, (g.size - s + g.stride - 1) // g.stride)
        dx = to + phase * g.channels * size, g.stride * g.channels
        multiply(
            tile, size, (g.width - phase + g.stride - 1) // g.stride,
            (image + ((p - j0) * row_step + (q - first + before) * filters) * size, filters),
            address(w, at + ((r + j0 * g.stride) * g.size + s) * width * step),
            (rows, (taps, -filters, g.stride * width * step), (width, 1, step)), columns, dx,
            (begin, dx[0], dx[1]), 0, 1,
        )  # fmt: skip
