"""Matrix products by cuBLAS against NumPy: every storage order, parts of larger matrices, arrays given late."""

from __future__ import annotations

import sys
import weakref
from copy import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from convnet.errors import ConvnetError, DeviceMemoryError

pytestmark = pytest.mark.gpu

M, N, K = 5, 7, 3
ROOM = 4  # numbers behind each row that belong to something else


@pytest.fixture(params=["fp32", "bf16"])
def dev(cuda_device: Any, request: pytest.FixtureRequest) -> Any:
    return cuda_device(request.param)


def on(dev: Any, values: np.ndarray) -> Any:
    """A copy of an array on the device."""
    copy = dev.array(dev.allocate(values.nbytes), 0, values.shape, values.dtype)
    dev.upload(values, copy)
    return copy


def stored(dev: Any, matrix: np.ndarray, transposed: bool) -> tuple[Any, int]:
    """A matrix on the device, between numbers that are not its own, and the length of its stored rows."""
    values = matrix.T if transposed else matrix
    padded = np.full((len(values), values.shape[1] + ROOM), np.nan, dev.activations)
    padded[:, : values.shape[1]] = values
    return on(dev, padded), padded.shape[1]


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("ta", [False, True])
def test_gemm(dev: Any, ta: bool, tb: bool, accumulate: bool) -> None:
    """Whole numbers: results are exact. The result is a part of a float32 matrix, whatever the operands are."""
    from convnet.backends.cuda.cublas import gemm

    generator = np.random.default_rng(1)
    a, b = (generator.integers(-8, 9, shape).astype(float) for shape in ((M, K), (K, N)))
    c = on(dev, np.full((M, N + ROOM), 100, np.float32))
    (left, lda), (right, ldb) = stored(dev, a, ta), stored(dev, b, tb)
    launch = gemm(dev, ta, tb, M, N, K, left, lda, lambda: right, ldb, lambda: c, N + ROOM, accumulate=accumulate)
    launch()
    launch()
    found = dev.download(c)
    np.testing.assert_array_equal(found[:, :N], 100 + 2 * (a @ b) if accumulate else a @ b)
    np.testing.assert_array_equal(found[:, N:], 100)


def test_gemm_of_parts(dev: Any) -> None:
    """Arrays that begin within others."""
    from convnet.backends.cuda.cublas import gemm

    values = np.arange(40).reshape(5, 8).astype(dev.activations)
    held, out = on(dev, values), on(dev, np.zeros((2, 2), dev.activations))
    gemm(dev, False, True, 2, 2, 3, held[1:], 8, held[3:], 8, out, 2, accumulate=False)()
    part = values.astype(float)
    expected = (part[1:3, :3] @ part[3:5, :3].T).astype(dev.activations)
    np.testing.assert_array_equal(dev.download(out), expected)


def test_products_repeat_bit_for_bit(dev: Any) -> None:
    from convnet.backends.cuda.cublas import gemm

    generator = np.random.default_rng(2)
    a, b = (on(dev, generator.normal(size=(64, 64)).astype(dev.activations)) for _ in range(2))
    outs = [on(dev, np.zeros((64, 64), np.float32)) for _ in range(2)]
    for out in outs:
        gemm(dev, False, False, 64, 64, 64, a, 64, b, 64, out, 64, accumulate=False)()
    assert dev.download(outs[0]).tobytes() == dev.download(outs[1]).tobytes()


def test_missing_bindings_are_told_with_what_to_install(dev: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from convnet.backends.cuda import cublas

    monkeypatch.setitem(sys.modules, "nvmath", None)
    with pytest.raises(ConvnetError, match=r"nvmath-python .*: pip install nvmath-python nvidia-cublas$"):
        cublas.Blas(dev)


class CublasError(Exception):
    """The bindings' own."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


def library(error: Exception) -> SimpleNamespace:
    """cuBLAS that does not start, as the bindings tell it."""

    def create() -> int:
        raise error

    return SimpleNamespace(create=create, cuBLASError=CublasError, Status=SimpleNamespace(ALLOC_FAILED=3))


def test_a_cublas_that_is_not_there_is_told_with_what_to_install(dev: Any) -> None:
    from convnet.backends.cuda import cublas

    with pytest.raises(ConvnetError, match=r"cuBLAS cannot be loaded \(not here\); .*pip install"):
        cublas._create(library(RuntimeError("not here")), dev)


def test_a_cublas_that_does_not_start_is_told_with_the_memory_there_is(dev: Any) -> None:
    from convnet.backends.cuda import cublas

    with pytest.raises(ConvnetError, match=r"^cuda:0: cuBLAS does not start \(status 1\); [\d,]+ bytes .* free$"):
        cublas._create(library(CublasError(1)), dev)


def test_a_cublas_without_memory_is_told_as_such(dev: Any) -> None:
    from convnet.backends.cuda import cublas

    with pytest.raises(DeviceMemoryError) as told:
        cublas._create(library(CublasError(3)), dev)
    assert 0 < told.value.free == dev.free_memory()


def test_what_cublas_does_not_do_is_told(dev: Any) -> None:
    """A row of operands that is shorter than the matrix is wide."""
    from convnet.backends.cuda.cublas import Matrices, gemm, gemm_strided_batched

    held = on(dev, np.zeros((4, 4), dev.activations))
    matrices = Matrices(held, 1, 4)
    launches = [
        gemm(dev, False, False, 4, 4, 4, held, 1, held, 4, held, 4, accumulate=False),
        gemm_strided_batched(dev, False, False, 2, 2, 2, matrices, matrices, matrices, 1, accumulate=False),
    ]
    for launch in launches:
        with pytest.raises(ConvnetError, match=r"^cuda:0: cuBLAS: .*INVALID_VALUE"):
            launch()


def test_a_device_has_one_cublas_and_goes_with_it(dev: Any) -> None:
    from convnet.backends.cuda import cublas

    held = on(dev, np.zeros((1, 1), dev.activations))
    device = copy(dev)  # another object, with the same context
    device.blas = None
    cublas.gemm(device, False, False, 1, 1, 1, held, 1, held, 1, held, 1, accumulate=False)
    blas = device.blas
    assert isinstance(blas, cublas.Blas)
    cublas.gemm(device, False, False, 1, 1, 1, held, 1, held, 1, held, 1, accumulate=False)
    assert device.blas is blas
    gone = weakref.ref(device)
    del device
    assert gone() is None, "nothing else holds a device"
