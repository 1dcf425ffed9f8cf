"""The transforms of convnet.ops.conv.winograd on the CPU: T d T', or d T' of one row, of many channels at once.

One function for each matrix. It is compiled when it is first needed, and called by its address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from convnet.backends.cpu.jit import callback
from convnet.backends.cpu.vectors import INT, Vectors, call_with, given_at
from convnet.ops.conv.winograd import Matrix, by_sums, filter_matrix, input_matrix, output_matrix, pairs, transposed

# x, y: addresses. x_row, x_column, y_row, y_column: numbers from one to the next of the blocks' rows and columns.
# channels: that lie one behind the other. top, bottom, left, right: which rows and columns there are, of y for
# "output", else of x. outside: the address that stands for each of the others: of zeros, or of room for numbers that
# nobody reads. blocks: their number, x_block and y_block: numbers from one to the next. add: 1 to add to what y holds.
# bias: 1 to add the numbers at `biases`, one for each channel. relu: 1 for max(y, 0). The last four: of "output" only.
ARGUMENTS = (
    "x", "x_row", "x_column", "y", "y_row", "y_column", "channels", "top", "bottom", "left", "right", "outside",
    "blocks", "x_block", "y_block", "add", "bias", "biases", "relu",
)  # fmt: skip

# The last of them for one block whose results stay as they are.
PLAIN = (1, 0, 0, 0, 0, 0, 0)

KINDS: dict[str, Callable[[int, int], Matrix]] = {
    "input": input_matrix,
    "filter": filter_matrix,
    "output": output_matrix,
}


class _Products:
    """Writes the products of a matrix's rows with some values; what rows have in common is computed once."""

    def __init__(self, vector: Vectors, matrix: Matrix) -> None:
        self.height, self.width = len(matrix), len(matrix[0])
        self._vector, self._builder = vector, vector.builder
        self._columns = pairs(transposed(matrix))
        self._rows = by_sums(matrix, self._columns)
        self._twins = pairs(self._rows)

    def of(self, values: Sequence[Any]) -> list[Any]:
        """As many products as the matrix has rows."""
        builder, terms = self._builder, [*values]
        for i, j in self._columns:
            terms[i], terms[j] = builder.fadd(terms[i], terms[j]), builder.fsub(terms[i], terms[j])
        products: list[Any] = [None] * self.height
        for i, j in self._twins:
            same = [a if a == b else Fraction(0) for a, b in zip(self._rows[i], self._rows[j], strict=True)]
            opposite = [a - b for a, b in zip(self._rows[i], same, strict=True)]
            one, other = self._sum(same, terms), self._sum(opposite, terms)
            products[i], products[j] = builder.fadd(one, other), builder.fsub(one, other)
        for i, row in enumerate(self._rows):
            products[i] = self._sum(row, terms) if products[i] is None else products[i]
        return products

    def _sum(self, factors: list[Fraction], values: list[Any]) -> Any:
        """The sum of the values, each times its factor; first one with a factor of 1, for nothing is rounded there."""
        total = None
        for factor, value in sorted(zip(factors, values, strict=True), key=lambda term: term[0] != 1):
            if factor == 0:
                continue
            if total is None:
                total = value if factor == 1 else self._builder.fmul(self._vector.constant(float(factor)), value)
            elif abs(factor) == 1:
                total = self._builder.fadd(total, value) if factor == 1 else self._builder.fsub(total, value)
            else:
                total = self._vector.fma(self._vector.constant(float(factor)), value, total)
        return total


class _Transform:
    """Writes the instructions: the columns of a block are multiplied with one matrix, the rows of that with another."""

    def __init__(
        self, vector: Vectors, down: Matrix, across: Matrix, given: dict[str, Any], *, last: bool
    ) -> None:  # fmt: skip
        self._vector, self._builder, self._given, self._last = vector, vector.builder, given, last
        self._down, self._across = _Products(vector, down), _Products(vector, across)
        read = self._down.width, self._across.width
        height, width = (self._down.height, self._across.height) if last else read
        self._row_there = [self._between(row, "top", "bottom") for row in range(height)]
        self._column_there = [self._between(column, "left", "right") for column in range(width)]

    def write(self) -> None:
        """All blocks, and of each all channels, a vector at a time."""
        builder, given, lanes = self._builder, self._given, INT(self._vector.lanes)
        count = builder.sdiv(builder.add(given["channels"], INT(self._vector.lanes - 1)), lanes)
        with cgutils.for_range(builder, given["blocks"]) as blocks:
            self._block = {name: builder.mul(blocks.index, given[f"{name}_block"]) for name in ("x", "y")}
            with cgutils.for_range(builder, count) as loop:
                first = builder.mul(loop.index, lanes)
                self._write_vector(first, self._vector.first(builder.sub(given["channels"], first)))

    def _write_vector(self, first: Any, mask: Any) -> None:
        if self._last:
            self._fetch_results(first)
        half = [self._down.of(self._column(first, column, mask)) for column in range(self._across.width)]
        for row in range(self._down.height):
            for column, value in enumerate(self._across.of([above[row] for above in half])):
                self._store(value, first, row, column, mask)

    def _fetch_results(self, first: Any) -> None:
        """Have the cache lines brought near that are written in the end."""
        for row, column in product(range(self._down.height), range(self._across.height)):
            self._vector.expect(self._place_inside("y", first, row, column), store=True)

    def _column(self, first: Any, column: int, mask: Any) -> list[Any]:
        place = self._place if self._last else self._place_inside
        return [self._vector.load(place("x", first, row, column), mask) for row in range(self._down.width)]

    def _store(self, value: Any, first: Any, row: int, column: int, mask: Any) -> None:
        """Write a result, after what is asked for is done with it."""
        place = (self._place_inside if self._last else self._place)("y", first, row, column)
        self._vector.store(self._finished(value, first, place, mask) if self._last else value, place, mask)

    def _finished(self, value: Any, first: Any, place: Any, mask: Any) -> Any:
        builder, vector, given = self._builder, self._vector, self._given
        slot = vector.slot(value)

        def then(name: str, change: Callable[[Any], Any]) -> None:
            with builder.if_then(builder.icmp_signed("!=", given[name], INT(0)), likely=False):
                builder.store(change(builder.load(slot)), slot)

        then("add", lambda total: builder.fadd(total, vector.load(place, mask)))
        then("bias", lambda total: builder.fadd(total, vector.load(vector.at(given["biases"], first), mask)))
        then("relu", vector.rectified)
        return builder.load(slot)

    def _place_inside(self, name: str, first: Any, row: int, column: int) -> Any:
        """As `_place`, but what stands for it where there is no such row or column."""
        there = self._builder.and_(self._row_there[row], self._column_there[column])
        outside = self._vector.at(self._given["outside"], first)
        return self._builder.select(there, self._place(name, first, row, column), outside)

    def _between(self, number: int, start: str, stop: str) -> Any:
        builder, given = self._builder, self._given
        return builder.and_(
            builder.icmp_signed(">=", INT(number), given[start]), builder.icmp_signed("<", INT(number), given[stop])
        )

    def _place(self, name: str, first: Any, row: int, column: int) -> Any:
        builder, given = self._builder, self._given
        offset = builder.add(
            builder.mul(INT(row), given[f"{name}_row"]), builder.mul(INT(column), given[f"{name}_column"])
        )
        return self._vector.at(given[name], builder.add(self._block[name], builder.add(offset, first)))


@intrinsic(prefer_literal=True)
def _transform(_typing_context: Any, itemsize: Any, kind: Any, m: Any, r: Any, row: Any, arguments: Any) -> Any:
    """T x T', or x T' of one row; ARGUMENTS lie at an address."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        given, vector = given_at(builder, values[-1], ARGUMENTS), Vectors(builder, itemsize.literal_value)
        matrix = KINDS[kind.literal_value](m.literal_value, r.literal_value)
        down = [[Fraction(1)]] if row.literal_value else matrix
        _Transform(vector, down, matrix, given, last=kind.literal_value == "output").write()
        return context.get_dummy_value()

    return types.void(itemsize, kind, m, r, row, arguments), generate


@cache
def transform_of(kind: str, m: int, r: int, dtype: np.dtype[Any], *, row: bool = False) -> int:
    """The address of the function for the matrix `kind` of F(m, r); `transform` wants it. row: of one row alone."""
    itemsize, alone = dtype.itemsize, int(row)
    if kind == "input":
        m, r = max(m, r), min(m, r)  # the same matrix

    def apply(arguments: int) -> None:
        _transform(itemsize, kind, m, r, alone, arguments)

    name = f"{kind}_{'row_' if row else ''}{m}_{r}_{itemsize}"
    return int(callback(types.void(types.intp), apply, name).address)


transform = call_with(len(ARGUMENTS))
