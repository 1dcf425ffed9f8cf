"""The look-alike of cuBLAS, as NVIDIA's own bindings see it."""

import itertools

import ml_dtypes
import numpy as np
import pytest

from tests.virtual_gpu import controls

F32, BF16 = 0, 14  # cudaDataType
COMPUTE_32F, COMPUTE_TF32 = 68, 77
HOST, DEVICE = 0, 1  # pointer modes
ULP = 2.0**-24


@pytest.fixture
def blas(context):
    pytest.importorskip("nvmath")
    from nvmath.bindings import cublas

    return cublas


@pytest.fixture
def handle(blas):
    made = blas.create()
    yield made
    blas.destroy(made)


@pytest.fixture
def ga(context):
    from pycuda import gpuarray

    return gpuarray


def stored(x, leading, transposed):
    """A matrix as cuBLAS reads it: columns one after the other, `leading` numbers apart; gaps hold NaN."""
    x = x.T if transposed else x
    held = np.full((x.shape[1], leading), np.nan, x.dtype)
    held[:, : x.shape[0]] = x.T
    return held


def upload(ga, x):
    """The array on the device; PyCUDA knows no bfloat16."""
    return ga.to_gpu(x.view(np.uint16) if x.dtype == ml_dtypes.bfloat16 else x)


@pytest.mark.parametrize(("transa", "transb"), list(itertools.product((0, 1), repeat=2)))
@pytest.mark.parametrize("kind", ["fp32", "tf32", "bf16", "bf16 out"])
def test_gemm_ex(blas, handle, ga, rng, transa, transb, kind):
    m, n, k = 70, 5, 33
    dtype = ml_dtypes.bfloat16 if "bf16" in kind else np.float32
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    c = rng.standard_normal((m, n)).astype(ml_dtypes.bfloat16 if kind == "bf16 out" else np.float32)
    lda, ldb, ldc = (k if transa else m) + 3, (n if transb else k) + 1, m + 2
    ga_, gb = upload(ga, stored(a, lda, transa)), upload(ga, stored(b, ldb, transb))
    gc = upload(ga, stored(c, ldc, False))
    alpha, beta = np.array(1.5, np.float32), np.array(-0.5, np.float32)
    of_operands, of_result = (BF16 if x.dtype == ml_dtypes.bfloat16 else F32 for x in (a, c))
    compute = COMPUTE_TF32 if kind == "tf32" else COMPUTE_32F
    blas.gemm_ex(handle, transa, transb, m, n, k, alpha.ctypes.data, ga_.ptr, of_operands, lda, gb.ptr, of_operands,
                 ldb, beta.ctypes.data, gc.ptr, of_result, ldc, compute, -1)  # fmt: skip
    seen = gc.get().view(c.dtype)[:, :m].T.astype(np.float64)
    wide = [x.astype(np.float64) for x in (a, b, c)]
    expected = 1.5 * wide[0] @ wide[1] - 0.5 * wide[2]
    magnitude = 1.5 * np.abs(wide[0]) @ np.abs(wide[1]) + np.abs(wide[2])
    operands = {"tf32": 2 * 2.0**-11 * 1.001}.get(kind, 0)
    result = 2.0**-8 * np.abs(expected) if kind == "bf16 out" else 0
    assert (np.abs(seen - expected) <= (k + 3) * ULP * magnitude + operands * magnitude + result).all()
    if kind == "tf32":
        assert np.abs(seen - expected).max() > 1e-4  # it is not float32
    assert np.isnan(gc.get().view(c.dtype)[:, m:].astype(np.float32)).all()


def test_batches(blas, handle, ga, rng):
    m, n, k, batch = 6, 7, 8, 3
    a, b = rng.standard_normal((batch, k, m), np.float32), rng.standard_normal((batch, n, k), np.float32)
    c = ga.empty((batch, n, m), np.float32)
    one, zero = np.array(1, np.float32), np.array(0, np.float32)
    ga_, gb = ga.to_gpu(a), ga.to_gpu(b)
    blas.gemm_strided_batched_ex(handle, 0, 0, m, n, k, one.ctypes.data, ga_.ptr, F32, m, k * m,
                                 gb.ptr, F32, k, n * k, zero.ctypes.data, c.ptr, F32, m, n * m, batch,
                                 COMPUTE_32F, -1)  # fmt: skip
    np.testing.assert_allclose(c.get(), b @ a, rtol=1e-5, atol=1e-5)


def test_math_mode_and_factors_on_the_device(blas, handle, ga, rng):
    x = rng.standard_normal((16, 16), np.float32)
    gx, c = ga.to_gpu(x), ga.empty((16, 16), np.float32)
    factors = ga.to_gpu(np.array([2, 0], np.float32))
    blas.set_pointer_mode(handle, DEVICE)
    errors = []
    for mode in (0, 3):
        blas.set_math_mode(handle, mode)
        blas.sgemm(handle, 0, 0, 16, 16, 16, factors.ptr, gx.ptr, 16, gx.ptr, 16, factors.ptr + 4, c.ptr, 16)
        errors.append(np.abs(c.get() - 2 * x.astype(np.float64) @ x).max())
    assert errors[0] < 1e-5 < errors[1] < 0.1


def test_products_run_in_the_stream_of_the_handle(drv, blas, handle, ga):
    x, c = ga.to_gpu(np.ones((4, 4), np.float32)), ga.zeros((4, 4), np.float32)
    drv.Context.synchronize()
    stream = drv.Stream()
    blas.set_stream(handle, stream.handle)
    assert blas.get_stream(handle) == stream.handle
    alpha, beta = np.array(1, np.float32), np.array(0, np.float32)
    blas.sgemm(handle, 0, 0, 4, 4, 4, alpha.ctypes.data, x.ptr, 4, x.ptr, 4, beta.ctypes.data, c.ptr, 4)
    alpha[...] = 100  # read when the call was made
    assert controls.pending() == 1
    other = drv.Stream()
    np.testing.assert_array_equal(c.get_async(other), 0)
    stream.synchronize()
    np.testing.assert_array_equal(c.get(), 4)


def test_a_matrix_beyond_its_memory_is_an_error(drv, blas, handle, ga, capfd):
    x, c = ga.zeros((4, 4), np.float32), ga.zeros((4, 3), np.float32)
    one = np.array(1, np.float32)
    blas.sgemm(handle, 0, 0, 4, 4, 4, one.ctypes.data, x.ptr, 4, x.ptr, 4, one.ctypes.data, c.ptr, 4)
    with pytest.raises(drv.Error, match="ILLEGAL_ADDRESS"):
        drv.Context.synchronize()
    assert "matrix C is not within one allocation" in capfd.readouterr().err


def test_what_cublas_refuses_is_refused(blas, handle, ga):
    x = ga.zeros((4, 4), np.float32)
    one = np.array(1, np.float32).ctypes
    with pytest.raises(blas.cuBLASError, match="INVALID_VALUE"):
        blas.sgemm(handle, 0, 0, 4, 4, 4, one.data, x.ptr, 3, x.ptr, 4, one.data, x.ptr, 4)
    with pytest.raises(blas.cuBLASError, match="NOT_SUPPORTED"):
        blas.gemm_ex(handle, 0, 0, 4, 4, 4, one.data, x.ptr, F32, 4, x.ptr, BF16, 4, one.data, x.ptr, F32, 4,
                     COMPUTE_32F, -1)  # fmt: skip
    with pytest.raises(blas.cuBLASError, match="INVALID_VALUE"):
        blas.set_workspace(handle, x.ptr, 1000)
    blas.set_workspace(handle, x.ptr, 64)
