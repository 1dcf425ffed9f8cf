"""Filters laid out for tiles: blocks of columns that fill vectors, each block's rows one behind the other."""

from __future__ import annotations

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.tile import VECTORS
from convnet.backends.cpu.vectors import VECTOR_SIZE


def block_columns(itemsize: int) -> int:
    """Columns of a block, but for the last one of a group."""
    return VECTORS * VECTOR_SIZE // itemsize


def filled_up(columns: int, itemsize: int) -> int:
    """So many columns, filled up to whole vectors."""
    lanes = VECTOR_SIZE // itemsize
    return -(-columns // lanes) * lanes


# For use inside kernels.
block_width, whole_vectors = inlined(block_columns), inlined(filled_up)


def packed_size(rows: int, columns: int, groups: int, itemsize: int) -> int:
    """Numbers that `pack_filters` and `pack_channels` write."""
    return rows * groups * filled_up(columns, itemsize)


@kernel
def pack_filters(start: int, stop: int, w: Array, rows: int, filters: int, groups: int, packed: Array) -> None:
    """Rows start..stop of w (rows, filters): columns are the filters of a group."""
    width = filters // groups
    block, filled = block_width(w.itemsize), whole_vectors(width, w.itemsize)
    for row in range(start, stop):
        for group in range(groups):
            for first in range(0, width, block):
                columns = min(block, width - first)
                step = whole_vectors(columns, w.itemsize)
                to = group * filled * rows + first * rows + row * step
                source = row * filters + group * width + first
                for column in range(columns):
                    packed[to + column] = w[source + column]
                packed[to + columns : to + step] = 0


@kernel
def pack_channels(
    start: int, stop: int, w: Array, taps: int, channels: int, filters: int, groups: int, packed: Array
) -> None:
    """Taps start..stop of w (taps, channels, filters): rows are (tap, filter of a group), columns its channels."""
    width = filters // groups
    rows, block, filled = taps * width, block_width(w.itemsize), whole_vectors(channels, w.itemsize)
    for tap in range(start, stop):
        for group in range(groups):
            for first in range(0, channels, block):
                columns = min(block, channels - first)
                step = whole_vectors(columns, w.itemsize)
                to = group * filled * rows + first * rows + tap * width * step
                for f in range(width):
                    source = (tap * channels + first) * filters + group * width + f
                    for column in range(columns):
                        packed[to + f * step + column] = w[source + column * filters]
                    packed[to + f * step + columns : to + (f + 1) * step] = 0
