"""The transforms of convnet.ops.conv.winograd on the CPU: T d T' of many channels at once.

One function for each matrix. It is compiled when it is first needed, and called by its address.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from convnet.backends.cpu.jit import callback
from convnet.backends.cpu.vectors import INT, Vectors, call_with, given_at
from convnet.ops.conv.winograd import Matrix, filter_matrix, input_matrix, output_matrix

# x, y: addresses. x_row, x_column, y_row, y_column: numbers from one to the next of the blocks' rows and columns.
# channels: that lie one behind the other. add: 1 to add to what y holds. bias: 1 to add the numbers at `biases`, one
# for each channel. relu: 1 for max(y, 0). All four: of "output" only.
ARGUMENTS = ("x", "x_row", "x_column", "y", "y_row", "y_column", "channels", "add", "bias", "biases", "relu")

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

    def write(self) -> None:
        """All channels, a vector at a time."""
        builder, given, lanes = self._builder, self._given, INT(self._vector.lanes)
        count = builder.sdiv(builder.add(given["channels"], INT(self._vector.lanes - 1)), lanes)
        with cgutils.for_range(builder, count) as loop:
            first = builder.mul(loop.index, lanes)
            mask = self._vector.first(builder.sub(given["channels"], first))
            half = [self._times_matrix(self._column(first, column, mask)) for column in range(len(self._matrix[0]))]
            for row in range(len(self._matrix)):
                for column, value in enumerate(self._times_matrix([above[row] for above in half])):
                    self._store(value, first, row, column, mask)

    def _column(self, first: Any, column: int, mask: Any) -> list[Any]:
        rows = range(len(self._matrix[0]))
        return [self._vector.load(self._place("x", first, row, column), mask) for row in rows]

    def _store(self, value: Any, first: Any, row: int, column: int, mask: Any) -> None:
        """Write a result, after what is asked for is done with it."""
        place = self._place("y", first, row, column)
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

    def _place(self, name: str, first: Any, row: int, column: int) -> Any:
        builder, given = self._builder, self._given
        offset = builder.add(
            builder.mul(INT(row), given[f"{name}_row"]), builder.mul(INT(column), given[f"{name}_column"])
        )
        return self._vector.at(given[name], builder.add(offset, first))

    def _times_matrix(self, values: list[Any]) -> list[Any]:
        return [self._sum(row, values) for row in self._matrix]

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
