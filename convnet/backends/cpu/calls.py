"""Calls of kernels from native code: function and arguments lie in memory, so that no thread needs the GIL to begin.

Two threads that unpack Python's arguments wait for each other's GIL, and a launch took 25 to 60 microseconds, as long
as many kernels themselves. Here each call is unpacked once, when it is prepared; only what has changed is written anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import typeof, types
from numba.core import cgutils
from numba.core.callconv import RETCODE_NONE, RETCODE_OK
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from convnet.backends.cpu.memory import Array
from convnet.backends.cpu.vectors import INT

_DATA = 4  # the place, among the numbers of an array, of the address of what it holds
_HEAD = 2  # numbers before the arguments: the address of what unpacks them, and that of the kernel

# numba's native arguments, by what they take of a number of 64 bits.
_CODES = {"i64": "l", "i32": "w", "i16": "h", "i8": "b", "float": "f", "double": "d"}
_KINDS: dict[str, Any] = {
    "l": INT, "w": ir.IntType(32), "h": ir.IntType(16), "b": ir.IntType(8), "f": ir.FloatType(), "d": ir.DoubleType(),
}  # fmt: skip


class Call:
    """A call of a kernel with these arguments, which are kept for as long as it is."""

    def __init__(self, kernel: Any, arguments: Sequence[Any]) -> None:
        """The first two arguments are integers, which `make` replaces."""
        kinds = tuple(typeof(argument) for argument in arguments)
        self.arguments, self._kinds = list(arguments), kinds
        numbers = [list(_numbers(argument)) for argument in arguments]
        self._starts = np.cumsum([_HEAD, *map(len, numbers)]).tolist()
        self._block = np.array([*_head(kernel, kinds), *(number for each in numbers for number in each)], np.int64)
        self.address: int = self._block.ctypes.data

    def replace(self, position: int, argument: Any) -> None:
        """Another argument in the place of one. Raises TypeError where it is not of the same type."""
        if (kind := typeof(argument)) != self._kinds[position]:
            raise TypeError(f"argument {position} of a kernel: expected {self._kinds[position]}, found {kind}")
        self.arguments[position] = argument
        numbers = list(_numbers(argument))
        self._block[self._starts[position] : self._starts[position] + len(numbers)] = numbers

    def pointers(self, array: Array) -> Iterator[int]:
        """The addresses of where the call has the address of what the array holds."""
        for argument, start in zip(self.arguments, self._starts, strict=False):
            for place, other in _pointers(argument, start):
                if other.ctypes.data == array.ctypes.data:
                    yield self.address + self._block.itemsize * place


def _numbers(value: Any) -> Iterator[int]:
    """A value as 64 bits each of what numba passes for it, in its order."""
    if isinstance(value, np.ndarray):
        # The first two are numba's and Python's owner of the memory: nobody counts references to what a call keeps.
        yield from (0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
    elif isinstance(value, tuple):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, (float, np.floating)):
        yield int(np.asarray(value).view(f"i{np.asarray(value).itemsize}"))
    else:
        yield (int(value) + 2**63) % 2**64 - 2**63


def _pointers(value: Any, start: int) -> Iterator[tuple[int, Array]]:
    """The arrays in a value, whose numbers begin at `start`, and the place of the address of what each holds."""
    if isinstance(value, np.ndarray):
        yield start + _DATA, value
    elif isinstance(value, tuple):
        for each in value:
            yield from _pointers(each, start)
            start += len(list(_numbers(each)))


@cache
def _head(kernel: Any, kinds: tuple[Any, ...]) -> tuple[int, int]:
    """The numbers that a call of a kernel with arguments of these types begins with."""
    kernel.compile(kinds)
    compiled = kernel.overloads[kinds]
    return _caller(_codes(kinds)), compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def _codes(kinds: tuple[Any, ...]) -> str:
    """A letter for each of numba's native arguments."""
    flat = cpu_target.target_context.get_arg_packer(kinds).argument_types
    return "".join("l" if isinstance(kind, ir.PointerType) else _CODES[str(kind)] for kind in flat)


_LIBRARIES: list[Any] = []  # that hold the functions


@global_compiler_lock
@cache
def _caller(codes: str) -> int:
    """The address of a function that takes a call's address, calls its kernel, and tells whether it failed.

    An address and an integer of 64 bits are passed the same way, so that many kernels share one.
    """
    library = cpu_target.target_context.codegen().create_library(f"call_{codes}")
    module = library.create_ir_module(f"call_{codes}")
    function = ir.Function(module, ir.FunctionType(INT, [INT]), f"convnet_call_{codes}")
    builder = ir.IRBuilder(function.append_basic_block())
    numbers = builder.inttoptr(function.args[0], INT.as_pointer())
    # numba's functions also take where to write their result, of which there is none, and their exception.
    arguments = [cgutils.alloca_once(builder, INT), cgutils.alloca_once(builder, INT)]
    for place, code in enumerate(codes, _HEAD):
        arguments.append(_narrowed(builder, builder.load(builder.gep(numbers, [INT(place)])), _KINDS[code]))
    kind = ir.FunctionType(ir.IntType(32), [argument.type for argument in arguments])
    kernel = builder.inttoptr(builder.load(builder.gep(numbers, [INT(1)])), kind.as_pointer())
    status = builder.call(kernel, arguments)
    fine = [builder.icmp_signed("==", status, code) for code in (RETCODE_OK, RETCODE_NONE)]
    builder.ret(builder.zext(builder.not_(builder.or_(*fine)), INT))
    library.add_ir_module(module)
    library.finalize()
    _LIBRARIES.append(library)
    return int(library.get_pointer_to_function(function.name))


def _narrowed(builder: Any, number: Any, kind: Any) -> Any:
    """The value that 64 bits hold."""
    if kind == INT:
        return number
    if isinstance(kind, ir.IntType):
        return builder.trunc(number, kind)
    if isinstance(kind, ir.FloatType):
        number = builder.trunc(number, ir.IntType(32))
    return builder.bitcast(number, kind)


@intrinsic
def make(_typing_context: Any, call: Any, start: Any, stop: Any) -> Any:
    """Make the call at an address with these first two arguments, for use inside kernels; 1 if it failed."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        numbers = builder.inttoptr(values[0], INT.as_pointer())
        for place, value in enumerate(values[1:], _HEAD):
            builder.store(value, builder.gep(numbers, [INT(place)]))
        caller = builder.inttoptr(builder.load(numbers), ir.FunctionType(INT, [INT]).as_pointer())
        return builder.call(caller, [values[0]])

    return types.int64(call, types.intp, types.intp), generate
