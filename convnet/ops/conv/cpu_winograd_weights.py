"""The gradient of filters by Winograd's transforms: F(r, m), whose filter is a tile of the outputs' gradient.

Where the sums are small, each part of the cases has its own, and is worked off by one thread in its cache. Otherwise
some cases at a time are transformed by all threads, then multiplied by all threads, each with some of the a^2 numbers
of a tile.
"""

from __future__ import annotations

from typing import Any

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.tile import multiply, tile_of
from convnet.backends.cpu.vectors import address
from convnet.backends.launches import in_turn
from convnet.ops.conv import ConvGeometry
from convnet.ops.conv.cpu_filters import block_columns, block_width
from convnet.ops.conv.cpu_sums import add_parts
from convnet.ops.conv.cpu_transforms import PLAIN, transform, transform_of
from convnet.ops.conv.cpu_winograd import CACHE, OUTPUTS, Tiles, distance, distance_of, read_tile, tiles

_SMALL = 1 << 20  # bytes of sums of which there may be several
_PARTS = 8
_SHARED_CACHE = 12 << 20  # bytes of transformed numbers that all threads work on: a share of the last-level cache


def bprop_weights(
    dev: CpuDevice, x: Array, dy: Array, dw: Array, geometry: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient."""
    a = OUTPUTS + geometry.filter_size - 1
    size = dw.size // geometry.filter_size**2 * a * a
    small = size * dw.itemsize <= _SMALL
    t = tiles(x, dy, geometry.filter_size, geometry.padding, CACHE if small else _SHARED_CACHE)
    parts = min(_PARTS, len(x) * t.rows) if small else 1
    sums = dev.workspace.reserve((parts * size,), dw.dtype)
    add_up = _sum_parts(dev, x, dy, sums, t, geometry.groups, parts) if small else _sum_all(
        dev, x, dy, sums, t, geometry.groups, -(-size * dw.itemsize // 64) * 64
    )  # fmt: skip
    back = dev.parallel(
        _transform_back, geometry.filter_channels, transform_of("output", t.r, t.m, dw.dtype), sums, dw.reshape(-1), t,
        accumulate, geometry.filter_channels, parts,
    )  # fmt: skip
    return in_turn([add_up, back])


def _transforms(t: Tiles, dtype: Any) -> tuple[int, int]:
    """Those of the maps, and of the outputs' gradient."""
    return transform_of("input", t.r, t.m, dtype), transform_of("filter", t.r, t.m, dtype)


def _sum_parts(dev: CpuDevice, x: Array, dy: Array, sums: Any, t: Tiles, groups: int, parts: int) -> Launch:
    """Each part of the rows of tiles into its own sums."""
    seen, gradients = _room(t, x.itemsize)
    return dev.parallel(
        _sum, parts, tile_of(x.dtype), *_transforms(t, x.dtype), x.reshape(-1), dy.reshape(-1), sums, t, groups,
        len(x) * t.rows, parts, Scratch((seen,), x.dtype), Scratch((gradients,), x.dtype), _zeros(t, x.dtype),
    )  # fmt: skip


def _sum_all(dev: CpuDevice, x: Array, dy: Array, sums: Any, t: Tiles, groups: int, start: int) -> Launch:
    """One chunk after the other into one sum. `start`: where the workspace is free."""
    sizes = _room(t, x.itemsize)
    seen = dev.workspace.reserve((sizes[0],), x.dtype, start)
    gradients = dev.workspace.reserve((sizes[1],), x.dtype, start + sizes[0] * x.itemsize)
    launches = []
    for first in range(0, len(x) * t.rows, t.chunk):
        count = min(t.chunk, len(x) * t.rows - first) * t.columns
        launches.append(dev.parallel(_transform, count, *_transforms(t, x.dtype), x.reshape(-1), dy.reshape(-1), seen,
                                     gradients, t, first * t.columns, _zeros(t, x.dtype)))  # fmt: skip
        launches.append(dev.parallel(_multiply, _products(t, groups, x.itemsize), tile_of(x.dtype), seen, gradients,
                                     sums, t, groups, count, first > 0))  # fmt: skip
    return in_turn(launches)


def _room(t: Tiles, itemsize: int) -> tuple[int, int]:
    """Numbers that a chunk is transformed to: of the maps, and of the gradient."""
    tiles = t.chunk * t.columns
    return t.a * t.a * distance(tiles * t.channels, itemsize), t.a * t.a * distance(tiles * t.filters, itemsize)


def _zeros(t: Tiles, dtype: Any) -> Scratch:
    """Room for what lies outside."""
    return Scratch((max(t.channels, t.filters),), dtype)


def _products(t: Tiles, groups: int, itemsize: int) -> int:
    """Numbers of a tile, times blocks of filters."""
    return t.a * t.a * groups * -(-(t.filters // groups) // block_columns(itemsize))


@kernel
def _sum(
    start: int, stop: int, tile: int, transform_input: int, transform_gradient: int, x: Array, dy: Array, sums: Array,
    t: Tiles, groups: int, rows: int, parts: int, seen: Array, gradients: Array, zeros: Array,
) -> None:  # fmt: skip
    """Parts start..stop of the rows of tiles."""
    zeros[:] = 0
    products = t.a * t.a * groups * -(-(t.filters // groups) // block_width(x.itemsize))
    size = t.a * t.a * (t.channels // groups) * t.filters
    for part in range(start, stop):
        begin, end = rows * part // parts, rows * (part + 1) // parts
        for first in range(begin, end, t.chunk):
            tiles = min(t.chunk, end - first) * t.columns
            for number in range(tiles):
                _read(x, dy, t, first * t.columns, number, transform_input, transform_gradient, seen, gradients,
                      address(zeros, 0))  # fmt: skip
            for item in range(products):
                _multiply_item(tile, item, seen, gradients, address(sums, part * size), t, groups, tiles, first > begin)


@kernel
def _transform(
    start: int, stop: int, transform_input: int, transform_gradient: int, x: Array, dy: Array, seen: Array,
    gradients: Array, t: Tiles, first: int, zeros: Array,
) -> None:  # fmt: skip
    """Tiles start..stop behind the first."""
    zeros[:] = 0
    for number in range(start, stop):
        _read(x, dy, t, first, number, transform_input, transform_gradient, seen, gradients, address(zeros, 0))


@kernel
def _multiply(
    start: int, stop: int, tile: int, seen: Array, gradients: Array, sums: Array, t: Tiles, groups: int, tiles: int,
    accumulate: bool,
) -> None:  # fmt: skip
    """Items start..stop, counted over the numbers of a tile and the blocks of filters."""
    for item in range(start, stop):
        _multiply_item(tile, item, seen, gradients, address(sums, 0), t, groups, tiles, accumulate)


@inlined
def _read(
    x: Array, dy: Array, t: Tiles, first: int, number: int, transform_input: int, transform_gradient: int, seen: Array,
    gradients: Array, zeros: int,
) -> None:  # fmt: skip
    """Transform what one tile sees, and the gradient of what it makes."""
    capacity, size = t.chunk * t.columns, x.itemsize
    read_tile(x, t, first + number, transform_input, address(seen, number * t.channels),
              distance_of(capacity * t.channels, size), zeros)  # fmt: skip
    _read_gradient(dy, t, first + number, transform_gradient, address(gradients, number * t.filters),
                   distance_of(capacity * t.filters, size), zeros)  # fmt: skip


@inlined
def _read_gradient(dy: Array, t: Tiles, number: int, transform_gradient: int, to: int, step: int, zeros: int) -> None:
    """Transform the gradient of a tile's outputs; zeros stand for those outside."""
    row, j = divmod(number, t.columns)
    case, i = divmod(row, t.rows)
    at, line = ((case * t.out_height + i * t.m) * t.out_width + j * t.m) * t.filters, t.out_width * t.filters
    transform(transform_gradient, (
        address(dy, at), line, t.filters, to, t.a * step, step, t.filters, 0, t.out_height - i * t.m, 0,
        t.out_width - j * t.m, zeros, *PLAIN,
    ))  # fmt: skip


@inlined
def _multiply_item(
    tile: int, item: int, seen: Array, gradients: Array, sums: int, t: Tiles, groups: int, tiles: int,
    accumulate: bool,
) -> None:  # fmt: skip
    """One of the a^2 numbers of all tiles: what it adds to a block of filters."""
    size, block, width, channels = seen.itemsize, block_width(seen.itemsize), t.filters // groups, t.channels // groups
    blocks, capacity = -(-width // block), t.chunk * t.columns
    seen_step, gradients_step = distance_of(capacity * t.channels, size), distance_of(capacity * t.filters, size)
    number, piece = divmod(item, groups * blocks)
    group, k = divmod(piece, blocks)
    f = group * width + k * block
    to = sums + (number * channels * t.filters + f) * size
    multiply(
        tile, size, channels, (address(seen, number * seen_step + group * channels), 1),
        address(gradients, number * gradients_step + f), ((1, 0, 0), (1, 0, 0), (tiles, t.channels, t.filters)),
        min(block, width - k * block), (to, t.filters), (1 if accumulate else 0, to, t.filters), 0, 0,
    )  # fmt: skip


@kernel
def _transform_back(
    start: int, stop: int, transform_output: int, sums: Array, dw: Array, t: Tiles, accumulate: bool, channels: int,
    parts: int,
) -> None:  # fmt: skip
    """Channels start..stop of the filters: the sum of all parts."""
    step = channels * t.filters
    for channel in range(start, stop):
        for number in range(t.a * t.a):
            add_parts(sums, number * step + channel * t.filters, t.filters, t.a * t.a * step, parts)
        transform(transform_output, (
            address(sums, channel * t.filters), t.a * step, step, address(dw, channel * t.filters), t.r * step, step,
            t.filters, 0, t.r, 0, t.r, 0, 1, 0, 0, 1 if accumulate else 0, 0, 0, 0,
        ))  # fmt: skip
