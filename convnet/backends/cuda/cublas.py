"""Matrix products by NVIDIA's cuBLAS, through NVIDIA's bindings, nvmath-python.

cuBLAS counts in Fortran order. A row-major matrix is its transpose there, so C = A B is asked for as C' = B' A'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.errors import ConvnetError, DeviceMemoryError

MEND = "pip install nvmath-python nvidia-cublas"

_WORKSPACE = 32 << 20  # bytes: what NVIDIA recommends for the cards that need most, and cuBLAS takes before it has ours
_TYPES = {"float32": "CUDA_R_32F", "bfloat16": "CUDA_R_16BF"}
_COMPUTE = {"fp32": "COMPUTE_32F", "tf32": "COMPUTE_32F_FAST_TF32", "bf16": "COMPUTE_32F"}

Operand: TypeAlias = GPUArray | Callable[[], GPUArray]


def gemm(
    dev: CudaDevice, ta: bool, tb: bool, m: int, n: int, k: int, a: Operand, lda: int, b: Operand, ldb: int,
    c: Operand, ldc: int, *, accumulate: bool,
) -> Launch:  # fmt: skip
    """A launch of c (m, n) = op(a) (m, k) @ op(b) (k, n), or of c += it, all row-major.

    `ta`, `tb`: whether a, b are stored transposed, (k, m) and (n, k). `lda`, `ldb`, `ldc`: numbers from one stored row
    to the next. a, b, c: arrays that begin at the first number, or functions that give them at each launch; a and b of
    one type, float32 or bfloat16, c of the same or float32. Sums are float32 in every precision; "tf32" rounds float32
    operands. The same call gives the same bits again.

    The launch raises ConvnetError if cuBLAS does not do it.

    Raises:
        ConvnetError: if cuBLAS or its bindings are missing, or do not start.
        DeviceMemoryError: if there is no memory for them.
    """
    blas = _blas_of(dev)
    transposed = int(tb), int(ta)  # CUBLAS_OP_N, CUBLAS_OP_T

    def launch() -> None:
        dev.activate()
        left, right, out = _array(b), _array(a), _array(c)
        blas.gemm(*transposed, n, m, k, left, ldb, right, lda, out, ldc, accumulate=accumulate)

    return launch


@dataclass(frozen=True)
class Matrices:
    """Row-major matrices of a batch: the first one, and the numbers from row to row and from matrix to matrix."""

    first: Operand
    leading: int
    stride: int


def gemm_strided_batched(
    dev: CudaDevice, ta: bool, tb: bool, m: int, n: int, k: int, a: Matrices, b: Matrices, c: Matrices, batch: int, *,
    accumulate: bool,
) -> Launch:  # fmt: skip
    """A launch of `batch` products of one shape, each as `gemm` computes one; no two of c share a number.

    The launch raises ConvnetError if cuBLAS does not do it.

    Raises:
        ConvnetError: if cuBLAS or its bindings are missing, or do not start.
        DeviceMemoryError: if there is no memory for them.
    """
    blas = _blas_of(dev)
    transposed = int(tb), int(ta)  # CUBLAS_OP_N, CUBLAS_OP_T

    def launch() -> None:
        dev.activate()
        blas.gemm_strided_batched(*transposed, n, m, k, b, a, c, batch, accumulate=accumulate)

    return launch


class Blas:
    """cuBLAS on one device: in its stream, and with a workspace of its own, without which results need not repeat.

    It does not hold the device, which holds it. Its functions need the device's context to be current.
    """

    def __init__(self, dev: CudaDevice) -> None:
        nvmath, self._library = _bindings()
        self._name = str(dev)
        self._types = {name: nvmath.CudaDataType[kind] for name, kind in _TYPES.items()}
        self._compute = self._library.ComputeType[_COMPUTE[dev.precision]]
        self._factors = np.array([0, 1], np.float32)  # cuBLAS reads them at each call
        self._workspace = dev.allocate(_WORKSPACE)
        self._handle = _create(self._library, dev)
        # In this order: a new stream takes the workspace away.
        self._call(self._library.set_stream, dev.stream.handle)
        self._call(self._library.set_workspace, int(self._workspace), _WORKSPACE)
        math = self._library.Math
        self._call(self._library.set_math_mode, math.DEFAULT_MATH | math.DISALLOW_REDUCED_PRECISION_REDUCTION)

    def gemm(
        self, ta: int, tb: int, m: int, n: int, k: int, a: GPUArray, lda: int, b: GPUArray, ldb: int, c: GPUArray,
        ldc: int, *, accumulate: bool,
    ) -> None:  # fmt: skip
        """Put c = op(a) op(b), or c += it, into the stream; arguments in Fortran order."""
        one, beta = self._factors_at(accumulate)
        kinds = [self._types[array.dtype.name] for array in (a, b, c)]
        self._call(
            self._library.gemm_ex, ta, tb, m, n, k, one, a.ptr, kinds[0], lda, b.ptr, kinds[1], ldb, beta, c.ptr,
            kinds[2], ldc, self._compute, self._library.GemmAlgo.DFALT,
        )  # fmt: skip

    def gemm_strided_batched(
        self, ta: int, tb: int, m: int, n: int, k: int, a: Matrices, b: Matrices, c: Matrices, batch: int, *,
        accumulate: bool,
    ) -> None:  # fmt: skip
        """Put `batch` products into the stream; arguments in Fortran order."""
        one, beta = self._factors_at(accumulate)
        self._call(
            self._library.gemm_strided_batched_ex, ta, tb, m, n, k, one, *self._operand(a), *self._operand(b), beta,
            *self._operand(c), batch, self._compute, self._library.GemmAlgo.DFALT,
        )  # fmt: skip

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function of the library with the handle.

        Raises:
            ConvnetError: if cuBLAS does not do it.
        """
        try:
            function(self._handle, *arguments)
        except self._library.cuBLASError as error:
            raise ConvnetError(f"{self._name}: cuBLAS: {error}") from error

    def _factors_at(self, accumulate: bool) -> tuple[int, int]:
        """Where the factors of a b and of c lie."""
        one, beta = (self._factors[factor:].ctypes.data for factor in (1, int(accumulate)))
        return one, beta

    def _operand(self, matrices: Matrices) -> tuple[int, int, int, int]:
        array = _array(matrices.first)
        return array.ptr, self._types[array.dtype.name], matrices.leading, matrices.stride


def _blas_of(dev: CudaDevice) -> Blas:
    """The device's, made when first asked for."""
    if dev.blas is None:
        dev.blas = Blas(dev)
    blas: Blas = dev.blas
    return blas


def _array(operand: Operand) -> GPUArray:
    return operand() if callable(operand) else operand


def _bindings() -> tuple[ModuleType, Any]:
    """nvmath and its module cublas.

    Raises:
        ConvnetError: if they are not installed.
    """
    try:
        import nvmath
        from nvmath.bindings import cublas
    except ImportError as error:
        raise ConvnetError(f"matrix products need nvmath-python ({error}); install it with: {MEND}") from None
    return nvmath, cublas


def _create(library: Any, dev: CudaDevice) -> int:
    """A handle, for the context that is current.

    Raises:
        ConvnetError: if cuBLAS is missing or does not start.
        DeviceMemoryError: if it does not start for lack of memory.
    """
    try:
        handle: int = library.create()
    except library.cuBLASError as error:
        if error.status == library.Status.ALLOC_FAILED:
            raise DeviceMemoryError(str(dev), _WORKSPACE, dev.free_memory()) from None
        free = f"{dev.free_memory():,} bytes of memory are free"
        raise ConvnetError(f"{dev}: cuBLAS does not start ({error}); {free}") from None
    except RuntimeError as error:  # the bindings' own errors of loading
        raise ConvnetError(f"cuBLAS cannot be loaded ({error}); install it with: {MEND}") from None
    return handle
