"""Convolution by Winograd's transforms of single rows: stride 1, for images of few channels.

Transforms along both axes take longer than the products that they save where there are few channels. Along rows of
pixels alone, F(m, r) does with a = m + r - 1 products what else takes m r: m columns of outputs at a time,

    y[i, o] = sum over n of A'[o, n] * sum over j, c of seen[n, i + j, c] * w[n, j, c]        o = 0 .. m - 1

where seen[n] (row, c) is what the columns see, transformed, and w[n] (j, c) the filter. What a window has of seen[n]
lies in one piece, for the image is laid out by columns before: so vectors reach over several rows, too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from convnet.backends.cpu.device import Array, Cases, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.tile import MOST_ROWS, multiply, tile_of
from convnet.backends.cpu.vectors import address, expect
from convnet.backends.launches import in_turn
from convnet.ops.conv import ConvGeometry
from convnet.ops.conv.cpu_filters import block_columns, block_width
from convnet.ops.conv.cpu_finish import finish, in_transform
from convnet.ops.conv.cpu_sums import add_parts
from convnet.ops.conv.cpu_transforms import PLAIN, transform, transform_of
from convnet.ops.conv.cpu_winograd import OUTPUTS, distance, distance_of
from convnet.ops.neuron import IDENT, NeuronFunction

_PARTS = 24  # of the cases, each of which has its own sums of gradients


class Rows(NamedTuple):
    """How maps are cut. columns: of outputs, m at a time. rows, wide: of pixels with the padding. m, r: of F(m, r).

    a: m + r - 1. window: numbers that a filter sees of each of the a. pieces: that rows of outputs are cut into.
    """

    height: int
    width: int
    channels: int
    padding: int
    out_height: int
    out_width: int
    filters: int
    columns: int
    rows: int
    wide: int
    m: int
    r: int
    a: int
    window: int
    pieces: int


def _rows(geometry: ConvGeometry) -> Rows:
    channels, height, width = geometry.maps
    m, r = OUTPUTS, geometry.filter_size
    columns, rows, a = -(-geometry.modules_x // m), geometry.modules_y + r - 1, m + r - 1
    return Rows(
        height=height, width=width, channels=channels, padding=geometry.padding, out_height=geometry.modules_y,
        out_width=geometry.modules_x, filters=geometry.filters, columns=columns, rows=rows, wide=(columns - 1) * m + a,
        m=m, r=r, a=a, window=r * channels, pieces=-(-geometry.modules_y // MOST_ROWS),
    )  # fmt: skip


def _image(s: Rows, dtype: np.dtype[Any]) -> list[Scratch]:
    """Room for the pixels of a case (wide, rows, channels), and for what they become (a, columns, rows, channels)."""
    size = s.rows * s.channels
    return [Scratch((s.wide * size,), dtype), Scratch((s.a * distance(s.columns * size, dtype.itemsize),), dtype)]


def _block(s: Rows, rows: int, dtype: np.dtype[Any]) -> Scratch:
    """Room for m columns of so many rows of outputs of a block of filters, transformed: (a, rows, block)."""
    return Scratch((s.a * distance(rows * block_columns(dtype.itemsize), dtype.itemsize),), dtype)


def fprop(
    dev: CpuDevice, x: Array, w: Array, bias: Array | None, y: Array, geometry: ConvGeometry, *, accumulate: bool,
    neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """`y` = f(conv(x) [+ y] [+ bias])."""
    s, f, real = _rows(geometry), neuron or IDENT, y.dtype.type
    transformed = dev.workspace.reserve((s.a * s.window * s.filters,), w.dtype)
    filters = dev.parallel(
        _transform_filters, s.window, transform_of("filter", s.m, s.r, w.dtype, row=True), w.reshape(-1), transformed, s
    )
    products = dev.parallel(
        _fprop, len(x), tile_of(y.dtype), transform_of("input", s.m, s.r, x.dtype, row=True),
        transform_of("output", s.m, s.r, y.dtype, row=True), x.reshape(-1), transformed,
        np.empty(0, y.dtype) if bias is None else bias, y.reshape(-1), s, accumulate, f.code, real(f.a), real(f.b),
        *_image(s, x.dtype), _block(s, -(-s.out_height // s.pieces), y.dtype),
        Scratch((block_columns(y.itemsize),), y.dtype), cases=Cases(len(x)),
    )  # fmt: skip
    return in_turn([filters, products])


def bprop_weights(
    dev: CpuDevice, x: Array, dy: Array, dw: Array, geometry: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient: F(r, m), whose filter are m columns of the outputs' gradient."""
    s = _rows(geometry)
    parts, size = min(_PARTS, len(x)), s.a * s.window * s.filters
    sums = dev.workspace.reserve((parts * size,), dw.dtype)
    add_up = dev.parallel(
        _sum, parts, tile_of(x.dtype), transform_of("input", s.r, s.m, x.dtype, row=True),
        transform_of("filter", s.r, s.m, x.dtype, row=True), x.reshape(-1), dy.reshape(-1), sums, s, len(x), parts,
        *_image(s, x.dtype), _block(s, s.out_height, x.dtype), Scratch((block_columns(x.itemsize),), x.dtype),
    )  # fmt: skip
    back = dev.parallel(
        _transform_back, s.window, transform_of("output", s.r, s.m, dw.dtype, row=True), sums, dw.reshape(-1), s,
        accumulate, parts,
    )  # fmt: skip
    return in_turn([add_up, back])


@kernel
def _transform_filters(start: int, stop: int, transform_filter: int, w: Array, out: Array, s: Rows) -> None:
    """Rows start..stop of a window, counted over its rows of taps and the channels: out (a, window, filters)."""
    for item in range(start, stop):
        j, c = divmod(item, s.channels)
        transform(transform_filter, (
            address(w, (j * s.window + c) * s.filters), 0, s.channels * s.filters, address(out, item * s.filters), 0,
            s.window * s.filters, s.filters, 0, 1, 0, s.r, 0, *PLAIN,
        ))  # fmt: skip


@kernel
def _fprop(
    start: int, stop: int, tile: int, transform_input: int, transform_output: int, x: Array, w: Array, bias: Array,
    y: Array, s: Rows, accumulate: bool, code: int, fa: float, fb: float, image: Array, seen: Array, made: Array,
    nowhere: Array,
) -> None:  # fmt: skip
    """Cases start..stop."""
    size, block = x.itemsize, block_width(x.itemsize)
    shared, relu, left = in_transform(bias, s.filters, code)
    blocks, made_step = -(-s.filters // block), distance_of(-(-s.out_height // s.pieces) * block, size)
    for case in range(start, stop):
        _read_case(x, s, case, transform_input, image, seen)
        for item in range(s.columns * s.pieces * blocks):
            rest, k = divmod(item, blocks)
            column, piece = divmod(rest, s.pieces)
            top, bottom = s.out_height * piece // s.pieces, s.out_height * (piece + 1) // s.pieces
            first, filters = k * block, min(block, s.filters - k * block)
            to = ((case * s.out_height + top) * s.out_width + column * s.m) * s.filters + first
            for n in range(s.a):
                for i in range(n, bottom - top, s.a):
                    _expect_outputs(y, s, to + i * s.out_width * s.filters, filters, 1)
                multiply(
                    tile, size, bottom - top, (_place(seen, s, n, column, top), s.channels),
                    address(w, n * s.window * s.filters + first), ((1, 0, 0), (1, 0, 0), (s.window, 1, s.filters)),
                    filters, (address(made, n * made_step), block), (0, 0, 0), 0, 0,
                )  # fmt: skip
            transform(transform_output, (
                address(made, 0), 0, made_step, address(y, to), 0, s.filters, filters, 0, 1, 0,
                s.out_width - column * s.m, address(nowhere, 0), bottom - top, block, s.out_width * s.filters,
                1 if accumulate else 0, shared, address(bias, first), relu,
            ))  # fmt: skip
        positions = s.out_height * s.out_width
        finish(y, case * positions, (case + 1) * positions, s.filters, bias, bias.size > 0 and shared == 0, left, fa,
               fb)  # fmt: skip


@inlined
def _place(seen: Array, s: Rows, n: int, column: int, row: int) -> int:
    """The address of number n of a, of what m columns of outputs see from a row on."""
    step = distance_of(s.columns * s.rows * s.channels, seen.itemsize)
    return address(seen, n * step + (column * s.rows + row) * s.channels)


@inlined
def _expect_outputs(y: Array, s: Rows, at: int, filters: int, store: int) -> None:
    """Have so many filters of m neighbouring outputs brought near."""
    for o in range(s.m):
        for f in range(0, filters, 64 // y.itemsize):
            expect(address(y, at + o * s.filters + f), store)


@inlined
def _read_case(x: Array, s: Rows, case: int, transform_input: int, image: Array, seen: Array) -> None:
    """Lay out the pixels of a case by columns, zeros around them, and transform them."""
    run = s.rows * s.channels
    image[:] = 0
    for row in range(min(s.height, s.rows - s.padding)):
        source, to = (case * s.height + row) * s.width * s.channels, (s.padding * s.rows + s.padding + row) * s.channels
        for pixel in range(min(s.width, s.wide - s.padding)):
            for c in range(s.channels):
                image[to + pixel * run + c] = x[source + pixel * s.channels + c]
    for column in range(s.columns):
        transform(transform_input, (
            address(image, column * s.m * run), 0, run, _place(seen, s, 0, column, 0), 0,
            distance_of(s.columns * run, x.itemsize), run, 0, 1, 0, s.a, 0, *PLAIN,
        ))  # fmt: skip


@kernel
def _sum(
    start: int, stop: int, tile: int, transform_input: int, transform_gradient: int, x: Array, dy: Array, sums: Array,
    s: Rows, cases: int, parts: int, image: Array, seen: Array, gradients: Array, zeros: Array,
) -> None:  # fmt: skip
    """Parts start..stop of the cases, each into its own sums (a, window, filters)."""
    size, block = x.itemsize, block_width(x.itemsize)
    blocks, step = -(-s.filters // block), distance_of(s.out_height * block, size)
    zeros[:] = 0
    for part in range(start, stop):
        begin, end = cases * part // parts, cases * (part + 1) // parts
        for case in range(begin, end):
            _read_case(x, s, case, transform_input, image, seen)
            for item in range(s.columns * blocks):
                column, k = divmod(item, blocks)
                first, filters = k * block, min(block, s.filters - k * block)
                at = (case * s.out_height * s.out_width + column * s.m) * s.filters + first
                transform(transform_gradient, (
                    address(dy, at), 0, s.filters, address(gradients, 0), 0, step, filters, 0, 1, 0,
                    s.out_width - column * s.m, address(zeros, 0), s.out_height, s.out_width * s.filters, block,
                    0, 0, 0, 0,
                ))  # fmt: skip
                for n in range(s.a):
                    for i in range(n, s.out_height, s.a):
                        _expect_outputs(dy, s, at + (i * s.out_width + s.m) * s.filters, filters, 0)
                    to = address(sums, (part * s.a + n) * s.window * s.filters + first)
                    multiply(
                        tile, size, s.window, (_place(seen, s, n, column, 0), 1), address(gradients, n * step),
                        ((1, 0, 0), (1, 0, 0), (s.out_height, s.channels, block)), filters, (to, s.filters),
                        (1 if case > begin or column > 0 else 0, to, s.filters), 0, 0,
                    )  # fmt: skip


@kernel
def _transform_back(
    start: int, stop: int, transform_output: int, sums: Array, dw: Array, s: Rows, accumulate: bool, parts: int
) -> None:
    """Rows start..stop of a window: the sum of all parts."""
    step = s.window * s.filters
    for item in range(start, stop):
        j, c = divmod(item, s.channels)
        for n in range(s.a):
            add_parts(sums, n * step + item * s.filters, s.filters, s.a * step, parts)
        transform(transform_output, (
            address(sums, item * s.filters), 0, step, address(dw, (j * s.window + c) * s.filters), 0,
            s.channels * s.filters, s.filters, 0, 1, 0, s.r, 0, 1, 0, 0, 1 if accumulate else 0, 0, 0, 0,
        ))  # fmt: skip
