"""Convolution by Winograd's transforms: stride 1, fewer multiplications, somewhat larger rounding errors.

A chunk of tiles of the maps is transformed, multiplied with transformed filters for each of the a^2 = (m + r - 1)^2
numbers of a tile, and transformed back, by one thread and in its cache.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from convnet.backends.cpu.device import Array, Cases, CpuDevice, Launch, Reservation, Scratch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.tile import multiply, tile_of
from convnet.backends.cpu.vectors import address
from convnet.backends.launches import in_turn
from convnet.ops.conv import ConvGeometry
from convnet.ops.conv.cpu_filters import (
    block_columns,
    block_width,
    pack_channels,
    packed_size,
    whole_vectors,
)
from convnet.ops.conv.cpu_finish import finish, in_transform
from convnet.ops.conv.cpu_transforms import PLAIN, transform, transform_of
from convnet.ops.neuron import IDENT, NeuronFunction

OUTPUTS = 4  # m: F(4, 3) and F(4, 5) save most, and round little more than F(3, ...)
SIZES = (3, 5)  # r: filters that it pays for

CACHE = 3 << 19  # bytes of transformed numbers that a thread works on, and of what it makes of them
_ITEMS = 16  # of a launch: any usual number of threads does equally many


class Tiles(NamedTuple):
    """Tiles over maps. height, width, channels: of the maps that are read; `padding` zeros lie around them.

    out_height, out_width: of the maps that are made, of `filters` channels. rows, columns: of tiles over these. m, r:
    of F(m, r). a: m + r - 1. chunk: rows of tiles that are worked on at once: of whole cases, or of a part of one.
    """

    height: int
    width: int
    channels: int
    padding: int
    out_height: int
    out_width: int
    filters: int
    rows: int
    columns: int
    m: int
    r: int
    a: int
    chunk: int


def distance(numbers: int, itemsize: int) -> int:
    """From one of a tile's a^2 numbers to the next, of which there are so many: an odd count of cache lines.

    A transform reads or writes all a^2 of a tile. At a distance of a power of two they would take each other's place in
    the cache, which has few for lines of such addresses: it took three times as long.
    """
    line = 64 // itemsize
    return (-(-numbers // line) | 1) * line


distance_of = inlined(distance)  # for use inside kernels


def usable(geometry: ConvGeometry) -> bool:
    """Whether there are transforms for such filters."""
    return geometry.stride == 1 and geometry.filter_size in SIZES and geometry.padding < geometry.filter_size


def fprop(
    dev: CpuDevice, x: Array, w: Array, bias: Array | None, y: Array, geometry: ConvGeometry, *, accumulate: bool,
    neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """`y` = f(conv(x) [+ y] [+ bias])."""
    g = geometry
    t = tiles(x, y, g.filter_size, g.padding, CACHE, _ITEMS)
    packing = Filters(g.filter_size**2 * g.filter_channels, g.filters // g.groups, g.groups, False)
    return _convolution(dev, x, w, bias, y, t, packing, accumulate, neuron or IDENT)


def bprop_acts(dev: CpuDevice, dy: Array, w: Array, dx: Array, geometry: ConvGeometry, *, accumulate: bool) -> Launch:
    """`dx` (+)= the gradient: the convolution of `dy` with the filters turned by half a turn."""
    g = geometry
    t = tiles(dy, dx, g.filter_size, g.filter_size - 1 - g.padding, CACHE, _ITEMS)
    packing = Filters(g.filter_size**2 * (g.filters // g.groups), g.filter_channels, g.groups, True)
    return _convolution(dev, dy, w, None, dx, t, packing, accumulate, IDENT)


class Filters(NamedTuple):
    """Filters as the products want them: so many rows and columns in each group. turned: for `bprop_acts`."""

    rows: int
    columns: int
    groups: int
    turned: bool


def tiles(x: Array, y: Array, filter_size: int, padding: int, room: int, chunks: int = 1) -> Tiles:
    """Tiles that make maps y of maps x. room: bytes for what a chunk is transformed to.

    chunks: their number is a multiple of it, or about that, so that threads have equally much to do.
    """
    (_, height, width, channels), (cases, out_height, out_width, filters) = x.shape, y.shape
    m, r = OUTPUTS, filter_size
    rows, columns, a = -(-out_height // m), -(-out_width // m), m + r - 1
    largest = max(1, room // (a * a * columns * (channels + filters) * x.itemsize))
    if largest < rows or cases < chunks:
        parts = max(-(-rows // largest), min(rows, -(-chunks // cases)))  # of a case
        chunk = -(-rows // parts)
    else:
        chunk = -(-cases // (-(-cases // (largest // rows * chunks)) * chunks)) * rows
    return Tiles(height, width, channels, padding, out_height, out_width, filters, rows, columns, m, r, a, chunk)


def _convolution(
    dev: CpuDevice, x: Array, w: Array, bias: Array | None, y: Array, t: Tiles, f: Filters, accumulate: bool,
    neuron: NeuronFunction,
) -> Launch:  # fmt: skip
    """Transform the filters, turned ones after they are laid out for that, and convolve."""
    of, real, taps = partial(transform_of, m=t.m, r=t.r, dtype=y.dtype), y.dtype.type, t.r * t.r
    size = packed_size(f.rows, f.columns, f.groups, w.itemsize)
    transformed = dev.workspace.reserve((size // taps * t.a * t.a,), w.dtype, -(-size * w.itemsize // 64) * 64)
    source: Array | Reservation = w.reshape(-1)
    packing = list[Launch]()
    if f.turned:
        source = dev.workspace.reserve((size,), w.dtype)
        packing = [dev.parallel(pack_channels, taps, w.reshape(-1), taps, f.columns, t.channels, f.groups, source)]
    filters = dev.parallel(_transform_filters, f.groups * (f.rows // taps), of("filter"), source, transformed, t, f)
    tiles_of_chunk, block = t.chunk * t.columns, block_columns(y.itemsize)
    seen, made = (distance(tiles_of_chunk * count, y.itemsize) for count in (t.channels, block))
    together = max(1, t.chunk // t.rows)
    chunks = -(-len(x) // together) * -(-t.rows // t.chunk)
    products = dev.parallel(
        _convolve, chunks, tile_of(y.dtype), of("input"), of("output"), x.reshape(-1), transformed,
        np.empty(0, y.dtype) if bias is None else bias, y.reshape(-1), t, f, len(x), accumulate, neuron.code,
        real(neuron.a), real(neuron.b), Scratch((t.a * t.a * seen,), y.dtype), Scratch((t.a * t.a * made,), y.dtype),
        Scratch((t.channels,), y.dtype), Scratch((block,), y.dtype), cases=Cases(len(x), together),
    )  # fmt: skip
    return in_turn([*packing, filters, products])


@kernel
def _transform_filters(
    start: int, stop: int, transform_filter: int, w: Array, out: Array, t: Tiles, f: Filters
) -> None:
    """Rows start..stop of all taps, counted over the groups. w: as `pack_channels` writes it if turned."""
    rows, block, filled = f.rows // (t.r * t.r), block_width(w.itemsize), whole_vectors(f.columns, w.itemsize)
    for item in range(start, stop):
        group, row = divmod(item, rows)
        for first in range(0, f.columns, block):
            columns = min(block, f.columns - first)
            step = whole_vectors(columns, w.itemsize)
            at, made = (group * filled + first) * rows, rows * step
            source, tap = row * t.filters + group * f.columns + first, rows * t.filters
            if f.turned:
                source, tap = at * t.r * t.r + row * step + (t.r * t.r - 1) * made, -made
            transform(transform_filter, (
                address(w, source), t.r * tap, tap, address(out, at * t.a * t.a + row * step), t.a * made, made,
                columns, 0, t.r, 0, t.r, 0, *PLAIN,
            ))  # fmt: skip


@kernel
def _convolve(
    start: int, stop: int, tile: int, transform_input: int, transform_output: int, x: Array, w: Array, bias: Array,
    y: Array, t: Tiles, f: Filters, cases: int, accumulate: bool, code: int, fa: float, fb: float, seen: Array,
    made: Array, zeros: Array, nowhere: Array,
) -> None:  # fmt: skip
    """Chunks start..stop of rows of tiles."""
    size, block = x.itemsize, block_width(x.itemsize)
    shared, relu, left = in_transform(bias, t.filters, code)
    rows, capacity = f.rows // (t.r * t.r), t.chunk * t.columns
    seen_step = distance_of(capacity * t.channels, size)
    zeros[:] = 0
    for chunk in range(start, stop):
        whole = max(t.rows, t.chunk)  # rows of so many cases as are not cut
        number, part = divmod(chunk, -(-t.rows // t.chunk))
        first = number * whole + part * t.chunk
        last = min(first + t.chunk, (number + 1) * whole, cases * t.rows)
        for number in range((last - first) * t.columns):
            read_tile(x, t, first * t.columns + number, transform_input, address(seen, number * t.channels),
                      seen_step, address(zeros, 0))  # fmt: skip
        for piece in range(f.groups * -(-f.columns // block)):
            group, k = divmod(piece, -(-f.columns // block))
            columns, c = min(block, f.columns - k * block), group * f.columns + k * block
            step = whole_vectors(columns, size)
            made_step = distance_of(capacity * step, size)
            at = (group * whole_vectors(f.columns, size) + k * block) * rows * t.a * t.a
            for number in range(t.a * t.a):
                multiply(
                    tile, size, (last - first) * t.columns,
                    (address(seen, number * seen_step + group * rows), t.channels),
                    address(w, at + number * rows * step), ((1, 0, 0), (1, 0, 0), (rows, 1, step)), columns,
                    (address(made, number * made_step), step), (0, 0, 0), 0, 0,
                )  # fmt: skip
            for number in range((last - first) * t.columns):
                _write_tile(
                    y, t, first * t.columns + number, c, columns, transform_output, address(made, number * step),
                    made_step, 1 if accumulate else 0, shared, address(bias, c), relu, address(nowhere, 0),
                )  # fmt: skip
        for row in range(first, last):
            position, count = _positions(t, row)
            finish(y, position, position + count, t.filters, bias, bias.size > 0 and shared == 0, left, fa, fb)


@inlined
def read_tile(x: Array, t: Tiles, number: int, transform_input: int, to: int, step: int, zeros: int) -> None:
    """Transform the pixels that a tile sees, those of all channels. zeros: an address where as many lie."""
    row, j = divmod(number, t.columns)
    case, i = divmod(row, t.rows)
    top, left, line = i * t.m - t.padding, j * t.m - t.padding, t.width * t.channels
    # Around an image the address may lie outside of the array; nothing is read there.
    source = address(x, (case * t.height + top) * line + left * t.channels)
    transform(transform_input, (
        source, line, t.channels, to, t.a * step, step, t.channels, -top, t.height - top, -left, t.width - left, zeros,
        *PLAIN,
    ))  # fmt: skip


@inlined
def _write_tile(
    y: Array, t: Tiles, number: int, c: int, columns: int, transform_output: int, source: int, step: int, add_to: int,
    begin: int, biases: int, relu: int, nowhere: int,
) -> None:  # fmt: skip
    """Transform a tile back. nowhere: the address of room for what lies over the edge."""
    row, j = divmod(number, t.columns)
    case, i = divmod(row, t.rows)
    at, line = ((case * t.out_height + i * t.m) * t.out_width + j * t.m) * t.filters + c, t.out_width * t.filters
    transform(transform_output, (
        source, t.a * step, step, address(y, at), line, t.filters, columns, 0, t.out_height - i * t.m, 0,
        t.out_width - j * t.m, nowhere, 1, 0, 0, add_to, begin, biases, relu,
    ))  # fmt: skip


@inlined
def _positions(t: Tiles, row: int) -> tuple[int, int]:
    """The first position of a row of tiles, and how many there are, over whole rows of the maps."""
    case, i = divmod(row, t.rows)
    return (case * t.out_height + i * t.m) * t.out_width, min(t.m, t.out_height - i * t.m) * t.out_width
