"""Counters in memory that several threads look at, for use inside kernels."""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from convnet.backends.cpu.vectors import INT

_HAS_PAUSE = llvmlite.binding.get_process_triple().startswith("x86_64")


@intrinsic
def load(_typing_context: Any, address: Any) -> Any:
    """The counter at an address as it is now; all threads see all changes of counters in one order."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(values[0], INT.as_pointer()), "seq_cst", align=8)

    return types.int64(address), generate


@intrinsic
def store(_typing_context: Any, address: Any, number: Any) -> Any:
    """Set the counter at an address, after all that was written before is there."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        builder.store_atomic(values[1], builder.inttoptr(values[0], INT.as_pointer()), "seq_cst", align=8)
        return context.get_dummy_value()

    return types.void(address, types.int64), generate


@intrinsic
def take(_typing_context: Any, address: Any) -> Any:
    """The counter at an address, which becomes larger by 1: no two threads get the same number."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.atomic_rmw("add", builder.inttoptr(values[0], INT.as_pointer()), INT(1), "seq_cst")

    return types.int64(address), generate


@intrinsic
def pause(_typing_context: Any) -> Any:
    """Tell the processor that this is a loop that waits."""

    def generate(context: Any, builder: Any, _signature: Any, _values: Any) -> Any:
        if _HAS_PAUSE:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate
