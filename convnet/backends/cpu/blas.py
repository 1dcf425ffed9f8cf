"""Matrix products inside kernels: SciPy's BLAS, called by its C address without the GIL.

BLAS counts in Fortran order. A C-contiguous matrix is its transpose there, so C = A B is asked for as C' = B' A'.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

KIND = "blas"  # threadpoolctl's name for such libraries

for _name in ("sgemm", "dgemm"):
    llvmlite.binding.add_symbol(f"convnet_{_name}", get_cython_function_address("scipy.linalg.cython_blas", _name))


@intrinsic
def gemm(
    typing_context: Any, ta: Any, tb: Any, m: Any, n: Any, k: Any, a: Any, lda: Any, b: Any, ldb: Any,
    beta: Any, c: Any, ldc: Any,
) -> Any:  # fmt: skip
    """c (m, n) = op(a) (m, k) @ op(b) (k, n) + beta * c, all row-major, for use inside kernels.

    `ta`, `tb`: whether a, b are stored transposed (k, m) and (n, k). a, b, c: one-dimensional contiguous arrays that
    begin at the first element; `lda`, `ldb`, `ldc`: elements from one stored row to the next.
    """
    dtype = c.dtype
    if not (a.dtype == b.dtype == dtype and dtype in (types.float32, types.float64)):
        return None
    signature = types.void(types.boolean, types.boolean, types.intp, types.intp, types.intp, a, types.intp, b,
                           types.intp, types.float64, c, types.intp)  # fmt: skip
    name = "convnet_sgemm" if dtype == types.float32 else "convnet_dgemm"
    return signature, _call_blas(name, ir.FloatType() if dtype == types.float32 else ir.DoubleType())


def _call_blas(name: str, real: Any) -> Any:
    """The code generator of `gemm`: arguments by address, operands exchanged for the row-major order."""
    byte, int32 = ir.IntType(8), ir.IntType(32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc = arguments
        letter_n, letter_t = ir.Constant(byte, ord("N")), ir.Constant(byte, ord("T"))

        def address(value: Any) -> Any:
            slot = cgutils.alloca_once(builder, value.type)
            builder.store(value, slot)
            return slot

        def integer(value: Any) -> Any:
            return address(builder.trunc(value, int32))

        def letter(flag: Any) -> Any:
            return address(builder.select(cgutils.as_bool_bit(builder, flag), letter_t, letter_n))

        def number(value: Any) -> Any:
            return address(value if real == ir.DoubleType() else builder.fptrunc(value, real))

        def data(position: int, value: Any) -> Any:
            return cgutils.create_struct_proxy(signature.args[position])(context, builder, value).data

        one = ir.Constant(ir.DoubleType(), 1.0)
        call = [letter(tb), letter(ta), integer(n), integer(m), integer(k), number(one), data(7, b), integer(ldb),
                data(5, a), integer(lda), number(beta), data(10, c), integer(ldc)]  # fmt: skip
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [v.type for v in call]), name
        )
        builder.call(function, call)
        return context.get_dummy_value()

    return generate
