"""A product of matrices of which one tile at a time is held in registers: what convolutions are made of.

One function adds up a tile of a few rows and one or two vectors of columns,

    y[i, k] = s[i, k] + sum over n2, n1, n0 of a[i; n2, n1, n0] * b[n2, n1, n0; k]

where a and b lie anywhere in memory at fixed distances along each index. With the three loops a filter's rows, columns
and channels need not be gathered to be multiplied. Sums are fused multiply-adds in the order of the loops, so that a
number does not depend on the tile that it belongs to.

The function is compiled once for each type of number and called by its address: kernels that call it stay small.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from convnet.backends.cpu.jit import callback, inlined
from convnet.backends.cpu.vectors import INT, VECTOR_SIZE, Vectors, call_with, given_at, unit

VECTORS = 2  # of columns in a tile, at most

# a, b, y, s: addresses. n: iterations of a loop. a_n, b_n: numbers from one iteration to the next in a and b; a_row,
# y_row, s_row: from row to row. columns: how many of the tile's are there. begin: 0 to begin with zeros and not with s.
# relu: 1 for max(y, 0). far: 1 if y is not in the cache: then its lines are fetched while the sums are made.
ARGUMENTS = (
    "rows", "vectors", "a", "a_row", "n2", "a2", "b2", "n1", "a1", "b1", "n0", "a0", "b0", "b", "columns", "y", "y_row",
    "begin", "s", "s_row", "relu", "far",
)  # fmt: skip


# Rows of a tile: as many as leave registers for a row of b and a number of a.
MOST_ROWS = (unit().registers - VECTORS - 1) // VECTORS


class _Tile:
    """Writes the instructions for one size of tile."""

    def __init__(self, builder: Any, itemsize: int, rows: int, vectors: int, given: dict[str, Any]) -> None:
        self._vector = Vectors(builder, itemsize)
        self._builder, self._rows, self._given = builder, rows, given
        lanes = self._vector.lanes
        rest = self._vector.first(builder.sub(given["columns"], INT((vectors - 1) * lanes)))
        self._columns = [(INT(lanes * v * itemsize), rest if v == vectors - 1 else None) for v in range(vectors)]
        self._sums = [[self._vector.slot() for _ in range(vectors)] for _ in range(rows)]

    def write(self) -> None:
        """The whole tile."""
        builder, given = self._builder, self._given
        with builder.if_then(builder.icmp_signed("!=", given["far"], INT(0))):
            for place, _, _ in self._places("y"):
                self._vector.expect(place, store=True)
        with builder.if_then(builder.icmp_signed("!=", given["begin"], INT(0))):
            for place, mask, slot in self._places("s"):
                builder.store(self._vector.load(place, mask), slot)
        with self._loop("2", given["a"], given["b"]) as (a2, b2), self._loop("1", a2, b2) as (a1, b1):
            threes = [self._row(a1, row, "a_row") for row in range(0, self._rows, 3)]
            with self._loop("0", INT(0), b1) as (offset, b0):
                self._multiply([builder.add(three, offset) for three in threes], b0)
        with builder.if_then(builder.icmp_signed("!=", given["relu"], INT(0))):
            for row in self._sums:
                for slot in row:
                    builder.store(self._vector.rectified(builder.load(slot)), slot)
        for place, mask, slot in self._places("y"):
            self._vector.store(builder.load(slot), place, mask)

    def _multiply(self, threes: list[Any], b: Any) -> None:
        """One number of each row of a, times one row of b. `threes`: addresses in every third row of a.

        An address costs a register in each row, but with the distance of rows in one, once and twice that come free.
        """
        builder, step = self._builder, self._vector.at(INT(0), self._given["a_row"])
        others = [INT(0), step, builder.add(step, step)]
        row_of_b = [self._vector.load(builder.add(b, offset), mask) for offset, mask in self._columns]
        for row, sums in enumerate(self._sums):
            number = self._vector.broadcast_at(builder.add(threes[row // 3], others[row % 3]))
            for slot, vector in zip(sums, row_of_b, strict=True):
                builder.store(self._vector.fma(number, vector, builder.load(slot)), slot)

    def _places(self, name: str) -> Iterator[tuple[Any, Any, Any]]:
        """The address, mask and slot of each vector of the matrix y or s."""
        for row, sums in enumerate(self._sums):
            start = self._row(self._given[name], row, f"{name}_row")
            for (offset, mask), slot in zip(self._columns, sums, strict=True):
                yield self._builder.add(start, offset), mask, slot

    def _row(self, start: Any, row: int, step: str) -> Any:
        return self._vector.at(start, self._builder.mul(INT(row), self._given[step]))

    @contextmanager
    def _loop(self, level: str, a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
        """A loop; gives the addresses in a and b of each iteration."""
        with cgutils.for_range(self._builder, self._given[f"n{level}"]) as loop:
            step_a, step_b = (self._builder.mul(loop.index, self._given[name + level]) for name in "ab")
            yield self._vector.at(a, step_a), self._vector.at(b, step_b)


@intrinsic(prefer_literal=True)
def _tile(_typing_context: Any, itemsize: Any, arguments: Any) -> Any:
    """Compute the tile of the given size; ARGUMENTS lie at an address."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        given = given_at(builder, values[1], ARGUMENTS)
        end = builder.append_basic_block("end")
        choice = builder.switch(builder.add(builder.mul(given["vectors"], INT(_SIZES)), given["rows"]), end)
        for vectors in range(1, VECTORS + 1):
            for rows in range(1, MOST_ROWS + 1):
                block = builder.append_basic_block(f"tile{rows}x{vectors}")
                choice.add_case(INT(_SIZES * vectors + rows), block)
                builder.position_at_end(block)
                _Tile(builder, itemsize.literal_value, rows, vectors, given).write()
                builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.void(itemsize, arguments), generate


_SIZES = 64  # more than the rows of any tile


@cache
def tile_of(dtype: np.dtype[Any]) -> int:
    """The address of the compiled function for this type of number; `multiply` wants it."""
    itemsize = dtype.itemsize

    def tile(arguments: int) -> None:
        _tile(itemsize, arguments)

    return int(callback(types.void(types.intp), tile, f"tile_{itemsize}").address)


_call = call_with(len(ARGUMENTS))


@inlined
def multiply(
    tile: int, itemsize: int, rows: int, a: tuple[int, int], b: int, loops: tuple[tuple[int, int, int], ...],
    columns: int, y: tuple[int, int], start: tuple[int, int, int], relu: int, far: int,
) -> None:  # fmt: skip
    """Add up any number of rows of a matrix of at most VECTORS vectors of columns, for use inside kernels.

    a, y: address of the first row, and numbers from row to row. b: address. loops: from the outermost to the innermost
    of three, how often, and how far from one to the next in a and in b. start: 0 to begin with zeros, 1 to begin with
    the matrix whose address and distance of rows follow. relu, far: see ARGUMENTS.
    """
    pieces = -(-rows // MOST_ROWS)
    vectors = -(-columns // (VECTOR_SIZE // itemsize))
    (n2, a2, b2), (n1, a1, b1), (n0, a0, b0) = loops
    begin, s, s_row = start
    for piece in range(pieces):
        first, last = rows * piece // pieces, rows * (piece + 1) // pieces
        _call(
            tile,
            (
                last - first,
                vectors,
                a[0] + first * a[1] * itemsize,
                a[1],
                n2,
                a2,
                b2,
                n1,
                a1,
                b1,
                n0,
                a0,
                b0,
                b,
                columns,
                y[0] + first * y[1] * itemsize,
                y[1],
                begin,
                s + first * s_row * itemsize,
                s_row,
                relu,
                far,
            ),
        )
