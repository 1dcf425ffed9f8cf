"""Vectors as values in kernels: for loops over channels that are too short for numba to vectorise well.

numba's own vector loops first find out whether arrays overlap and how many elements are left over, which takes as long
as the work on 32 channels. Here a vector is loaded from an address, and the lanes behind the last channel are masked.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic

from convnet.backends.cpu.jit import inlined
from convnet.backends.cpu.vectors import VECTOR_SIZE, Vectors, element_address, unit


class VectorType(types.Type):  # type: ignore[misc]
    """A vector of numbers of so many bytes."""

    def __init__(self, itemsize: int) -> None:
        super().__init__(name=f"vector{itemsize}")
        self.itemsize = itemsize


@register_default(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    """As LLVM has it."""

    def __init__(self, manager: Any, kind: VectorType) -> None:
        number = ir.FloatType() if kind.itemsize == 4 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(number, unit().lanes(kind.itemsize)))


_KINDS = {types.float32: VectorType(4), types.float64: VectorType(8)}


@intrinsic
def load(_typing_context: Any, array: Any, at: Any, count: Any) -> Any:
    """array[at:at + lanes], with zeros from the count-th on; `array` is one-dimensional and contiguous."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vector, place = _place(context, builder, signature, values)
        return vector.load(place, vector.first(values[2]))

    return _KINDS[array.dtype](array, types.intp, types.intp), generate


@intrinsic
def zeros(_typing_context: Any, array: Any) -> Any:
    """A vector of zeros of the array's type."""
    kind = _KINDS[array.dtype]
    return kind(array), lambda _context, builder, _signature, _values: Vectors(builder, kind.itemsize).zero


@intrinsic
def store(_typing_context: Any, array: Any, at: Any, count: Any, value: Any) -> Any:
    """array[at:at + lanes] = value, of which `count` numbers are written."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vector, place = _place(context, builder, signature, values)
        vector.store(values[3], place, vector.first(values[2]))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, value), generate


def _place(context: Any, builder: Any, signature: Any, values: Any) -> tuple[Vectors, Any]:
    vector = Vectors(builder, signature.args[0].dtype.bitwidth // 8)
    return vector, element_address(context, builder, signature.args[0], *values[:2])


@intrinsic
def add(_typing_context: Any, a: Any, b: Any) -> Any:
    """Vector a + b."""
    return a(a, b), lambda _context, builder, _signature, values: builder.fadd(*values)


@intrinsic
def scale(_typing_context: Any, a: Any, number: Any) -> Any:
    """Each number of vector a, times one number of its type."""

    def generate(_context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vector = Vectors(builder, signature.args[0].itemsize)
        return builder.fmul(values[0], vector.broadcast(values[1]))

    return a(a, types.float32 if a.itemsize == 4 else types.float64), generate


@intrinsic
def larger(_typing_context: Any, a: Any, b: Any) -> Any:
    """The larger of two vectors' numbers, in one instruction: b's where one of the two is NaN."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *values), *values)

    return a(a, b), generate


@intrinsic
def nan_where(_typing_context: Any, a: Any, otherwise: Any) -> Any:
    """NaN where vector a is NaN, else the numbers of `otherwise`."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.select(builder.fcmp_unordered("uno", values[0], values[0]), *values)

    return a(a, otherwise), generate


@intrinsic
def where_equal(_typing_context: Any, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    """The numbers of vector `then` where those of a and b are equal, else those of `otherwise`."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.select(builder.fcmp_ordered("==", *values[:2]), *values[2:])

    return a(a, b, then, otherwise), generate


@inlined
def lanes_of(itemsize: int) -> int:
    """Numbers of so many bytes in a vector."""
    return VECTOR_SIZE // itemsize
