"""Vectors of numbers as LLVM has them, for kernels that hold many of them in registers.

numba vectorises loops, but does not say which values stay in registers. What must, is written in LLVM's language here
and becomes a part of numba's kernels. A vector is as long as the widest register, and LLVM makes of it what the
processor has: AVX-512, AVX2, SSE or NEON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

INT = ir.IntType(64)
_INT32 = ir.IntType(32)


@dataclass(frozen=True)
class Unit:
    """The vector unit that kernels are compiled for.

    size: bytes of a register. registers: how many there are. fused: whether it multiplies and adds at once.
    """

    size: int
    registers: int
    fused: bool

    def lanes(self, itemsize: int) -> int:
        """Numbers of so many bytes in a vector."""
        return self.size // itemsize


@cache
def unit() -> Unit:
    """That of the processor, or of what NUMBA_CPU_NAME and NUMBA_CPU_FEATURES make of it."""
    features = _features()
    arm = "neon" in features
    fused = arm or "fma" in features
    if "avx512f" in features:
        return Unit(64, 32, fused)
    if "avx2" in features:
        return Unit(32, 16, fused)
    return Unit(16, 32 if arm else 16, fused)


def _features() -> set[str]:
    """What numba compiles for; of a processor that is only named, that it has the shortest vectors."""
    features = numba.config.CPU_FEATURES
    if features is None:
        features = "" if numba.config.CPU_NAME is not None else get_host_cpu_features()
    return {name[1:] for name in features.split(",") if name.startswith("+")}


VECTOR_SIZE = unit().size  # bytes


class Vectors:
    """Writes instructions on vectors of one type of number, 4 or 8 bytes each."""

    def __init__(self, builder: Any, itemsize: int) -> None:
        self.builder = builder
        self.itemsize = itemsize
        self.lanes = unit().lanes(itemsize)
        self.number = ir.FloatType() if itemsize == 4 else ir.DoubleType()
        self.type = ir.VectorType(self.number, self.lanes)
        self.zero = ir.Constant(self.type, None)
        self._mask_type = ir.VectorType(ir.IntType(1), self.lanes)
        self._name = f"v{self.lanes}f{8 * itemsize}"

    def slot(self, value: Any = None) -> Any:
        """A variable that holds a vector; LLVM keeps it in a register."""
        slot = cgutils.alloca_once(self.builder, self.type)
        self.builder.store(self.zero if value is None else value, slot)
        return slot

    def at(self, address: Any, index: Any) -> Any:
        """The address `index` numbers behind another one."""
        return self.builder.add(address, self.builder.mul(index, INT(self.itemsize)))

    def load(self, address: Any, mask: Any = None) -> Any:
        """The vector at an address, zeros in the lanes that are not of the mask."""
        pointer = self.builder.inttoptr(address, self.type.as_pointer())
        if mask is None:
            loaded = self.builder.load(pointer)
            loaded.align = self.itemsize
            return loaded
        function = self._function(f"masked.load.{self._name}.p0{self._name}",
                                  self.type, [pointer.type, _INT32, self._mask_type, self.type])  # fmt: skip
        return self.builder.call(function, [pointer, _INT32(self.itemsize), mask, self.zero])

    def store(self, value: Any, address: Any, mask: Any = None) -> None:
        """Write the lanes of the mask to an address."""
        pointer = self.builder.inttoptr(address, self.type.as_pointer())
        if mask is None:
            self.builder.store(value, pointer).align = self.itemsize
            return
        function = self._function(f"masked.store.{self._name}.p0{self._name}",
                                  ir.VoidType(), [self.type, pointer.type, _INT32, self._mask_type])  # fmt: skip
        self.builder.call(function, [value, pointer, _INT32(self.itemsize), mask])

    def expect(self, address: Any, *, store: bool) -> None:
        """Have the cache line of an address brought near, for it is read or written soon."""
        pointer = self.builder.inttoptr(address, ir.IntType(8).as_pointer())
        function = self._function("prefetch.p0i8", ir.VoidType(), [pointer.type, _INT32, _INT32, _INT32])
        self.builder.call(function, [pointer, _INT32(int(store)), _INT32(3), _INT32(1)])

    def broadcast(self, number: Any) -> Any:
        """A vector of one number, over and over."""
        return self._fill(self.type, number)

    def broadcast_at(self, address: Any) -> Any:
        """A vector of the number at an address."""
        return self.broadcast(self.builder.load(self.builder.inttoptr(address, self.number.as_pointer())))

    def constant(self, value: float) -> Any:
        """A vector of one number that is known beforehand."""
        return ir.Constant(self.type, [self.number(value)] * self.lanes)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a * b + c, rounded once where the processor can do that."""
        if not unit().fused:
            return self.builder.fadd(self.builder.fmul(a, b), c)
        return self.builder.call(self._function(f"fma.{self._name}", self.type, [self.type] * 3), [a, b, c])

    def rectified(self, value: Any) -> Any:
        """max(value, 0) as the neuron has it: what is no number stays none."""
        return self.builder.select(self.builder.fcmp_ordered("<", value, self.zero), self.zero, value)

    def first(self, count: Any) -> Any:
        """The mask of the first `count` lanes; none for a negative count, all for a large one."""
        lanes = ir.VectorType(INT, self.lanes)
        return self.builder.icmp_signed("<", ir.Constant(lanes, list(range(self.lanes))), self._fill(lanes, count))

    def _fill(self, vector: Any, value: Any) -> Any:
        nothing = ir.Constant(vector, ir.Undefined)
        single = self.builder.insert_element(nothing, value, _INT32(0))
        return self.builder.shuffle_vector(single, nothing, ir.Constant(ir.VectorType(_INT32, self.lanes), None))

    def _function(self, name: str, result: Any, arguments: list[Any]) -> Any:
        return cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(result, arguments), f"llvm.{name}")


def element_address(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """The address of array[index]; `kind`: the array's type, one-dimensional and contiguous."""
    data = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return builder.ptrtoint(builder.gep(data, [index]), INT)


@intrinsic
def address(_typing_context: Any, array: Any, index: Any) -> Any:
    """The address of array[index], for use inside kernels; `array` is one-dimensional and contiguous."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return element_address(context, builder, signature.args[0], *values)

    return types.intp(array, types.intp), generate


@intrinsic(prefer_literal=True)
def expect(_typing_context: Any, address: Any, store: Any) -> Any:
    """Have the cache line of an address brought near, for use inside kernels. store: 1 if it will be written."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        Vectors(builder, 4).expect(values[0], store=bool(store.literal_value))
        return context.get_dummy_value()

    return types.void(address, store), generate


def given_at(builder: Any, place: Any, names: Sequence[str]) -> dict[str, Any]:
    """The integers that `call_with` passed, by name."""
    numbers = builder.inttoptr(place, INT.as_pointer())
    return {name: builder.load(builder.gep(numbers, [INT(index)])) for index, name in enumerate(names)}


def call_with(count: int) -> Any:
    """What calls the function at an address, for use inside kernels, with the address of a tuple of `count` integers.

    Functions of many instructions that many kernels call are compiled by themselves, once, and called this way.
    """

    @intrinsic
    def call(_typing_context: Any, _function: Any, _numbers: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            numbers = cgutils.alloca_once(builder, ir.ArrayType(INT, count))
            for place, value in enumerate(cgutils.unpack_tuple(builder, values[1])):
                builder.store(value, builder.gep(numbers, [INT(0), INT(place)]))
            kind = ir.FunctionType(ir.VoidType(), [INT]).as_pointer()
            builder.call(builder.inttoptr(values[0], kind), [builder.ptrtoint(numbers, INT)])
            return context.get_dummy_value()

        return types.void(types.intp, types.UniTuple(types.intp, count)), generate

    return call
