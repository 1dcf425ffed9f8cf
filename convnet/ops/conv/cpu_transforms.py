"""The transforms of convnet.ops.conv.winograd on the CPU: T d T' of many channels at once.

One function for each matrix. It is compiled when it is first needed, and called by its address.
"""

from __future__ import annotations

from collections.abc import Callable
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
# nobody reads. add: 1 to add to what y holds. bias: 1 to add the numbers at `biases`, one for each channel. relu: 1 for
# max(y, 0). The last four: of "output" only.
ARGUMENTS = (
    "x", "x_row", "x_column", "y", "y_row", "y_column", "channels", "top", "bottom", "left", "right", "outside",
    "add", "bias", "biases", "relu",
)  # fmt: skip

KINDS: dict[str, Callable[[int, int], Matrix]] = {
    "input": input_matrix,
    "filter": filter_matrix,
    "output": output_matrix,
}


class _Transform:
    """Writes the instructions for a matrix."""

    def __init__(self, builder: Any, itemsize: int, matrix: Matrix, given: dict[str, Any], *, last: bool) -> None:
        self._vector, self._builder, self._matrix, self._given = Vectors(builder, itemsize), builder, matrix, given
        self._last = last
        self._columns = pairs(transposed(matrix))
        self._rows = by_sums(matrix, self._columns)
        self._twins = pairs(self._rows)
        height, width = (len(matrix),) * 2 if last else (len(matrix[0]),) * 2
        self._row_there = [self._between(row, "top", "bottom") for row in range(height)]
        self._column_there = [self._between(column, "left", "right") for column in range(width)]

    def write(self) -> None:
        """All channels, a vector at a time."""
        builder, given, lanes = self._builder, self._given, INT(self._vector.lanes)
        count = builder.sdiv(builder.add(given["channels"], INT(self._vector.lanes - 1)), lanes)
        with cgutils.for_range(builder, count) as loop:
            first = builder.mul(loop.index, lanes)
            if self._last:
                self._fetch_results(first)
            mask = self._vector.first(builder.sub(given["channels"], first))
            half = [self._times_matrix(self._column(first, column, mask)) for column in range(len(self._matrix[0]))]
            for row in range(len(self._matrix)):
                for column, value in enumerate(self._times_matrix([above[row] for above in half])):
                    self._store(value, first, row, column, mask)

    def _fetch_results(self, first: Any) -> None:
        """Have the cache lines brought near that are written in the end."""
        for row, column in product(range(len(self._matrix)), repeat=2):
            self._vector.expect_store(self._place_inside("y", first, row, column))

    def _column(self, first: Any, column: int, mask: Any) -> list[Any]:
        rows = range(len(self._matrix[0]))
        place = self._place if self._last else self._place_inside
        return [self._vector.load(place("x", first, row, column), mask) for row in rows]

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
        return self._vector.at(given[name], builder.add(offset, first))

    def _times_matrix(self, values: list[Any]) -> list[Any]:
        """The products of the rows with the values; what two rows, or all rows, have in common is computed once."""
        builder, values = self._builder, [*values]
        for i, j in self._columns:
            values[i], values[j] = builder.fadd(values[i], values[j]), builder.fsub(values[i], values[j])
        products: list[Any] = [None] * len(self._rows)
        for i, j in self._twins:
            same = [a if a == b else Fraction(0) for a, b in zip(self._rows[i], self._rows[j], strict=True)]
            opposite = [a - b for a, b in zip(self._rows[i], same, strict=True)]
            one, other = self._sum(same, values), self._sum(opposite, values)
            products[i], products[j] = builder.fadd(one, other), builder.fsub(one, other)
        for i, row in enumerate(self._rows):
            products[i] = self._sum(row, values) if products[i] is None else products[i]
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


@intrinsic(prefer_literal=True)
def _transform(_typing_context: Any, itemsize: Any, kind: Any, m: Any, r: Any, arguments: Any) -> Any:
    """T x T'; ARGUMENTS lie at an address."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        given = given_at(builder, values[-1], ARGUMENTS)
        matrix = KINDS[kind.literal_value](m.literal_value, r.literal_value)
        last = kind.literal_value == "output"
        _Transform(builder, itemsize.literal_value, matrix, given, last=last).write()
        return context.get_dummy_value()

    return types.void(itemsize, kind, m, r, arguments), generate


@cache
def transform_of(kind: str, m: int, r: int, dtype: np.dtype[Any]) -> int:
    """The address of the function for the matrix `kind` of F(m, r); `transform` wants it."""
    itemsize = dtype.itemsize
    if kind == "input":
        m, r = max(m, r), min(m, r)  # the same matrix

    def apply(arguments: int) -> None:
        _transform(itemsize, kind, m, r, arguments)

    return int(callback(types.void(types.intp), apply, f"{kind}_{m}_{r}_{itemsize}").address)


transform = call_with(len(ARGUMENTS))
