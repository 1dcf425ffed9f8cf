"""Matrix products, asynchronous copies and ldmatrix, as <convnet/ptx.cuh> has them."""

import ml_dtypes
import numpy as np
import pytest

from tests.virtual_gpu import controls
from tests.virtual_gpu.controls import Order

TF32 = 2.0**-11  # the largest relative error of a number rounded to 10 bits of mantissa
WARP = {"block": (32, 1, 1)}


@pytest.fixture
def module(kernels):
    return kernels("tensor_cores.cu")


@pytest.fixture
def ga(context):
    from pycuda import gpuarray

    return gpuarray


@pytest.fixture
def fails(drv, module):
    """A function that launches a kernel and asserts its error."""

    def launch(error, name, *arguments, **how):
        module.get_function(name)(*arguments, **how)
        with pytest.raises(drv.Error, match=error):
            drv.Context.synchronize()

    return launch


def test_tf32_and_a_forgotten_rounding(module, ga, rng):
    errors = {"tf32_rounded": [], "tf32_unrounded": []}
    for _ in range(20):
        # All positive: numbers cut off rather than rounded give results that are all too small.
        a, b = rng.uniform(1, 2, (16, 8)).astype(np.float32), rng.uniform(1, 2, (8, 8)).astype(np.float32)
        exact = a.astype(np.float64) @ b.astype(np.float64)
        for name, seen in errors.items():
            d = ga.empty((16, 8), np.float32)
            module.get_function(name)(ga.to_gpu(a), ga.to_gpu(b), d, **WARP)
            seen.append((d.get() - exact) / exact)
    assert np.abs(errors["tf32_rounded"]).max() < 2 * TF32 + TF32**2
    assert np.abs(errors["tf32_rounded"]).max() > TF32 / 10  # it is not float32
    assert abs(np.mean(errors["tf32_rounded"])) < TF32 / 20
    assert np.mean(errors["tf32_unrounded"]) < -TF32 / 2


def test_products_accumulate_and_are_exact_for_short_numbers(module, ga, rng):
    a, b = (rng.integers(-1000, 1000, shape).astype(np.float32) for shape in ((16, 8), (8, 8)))
    d = ga.empty((16, 8), np.float32)
    module.get_function("tf32_rounded")(ga.to_gpu(a), ga.to_gpu(b), d, **WARP)
    np.testing.assert_array_equal(d.get(), a @ b)


def test_rounding_to_tf32(module, ga):
    up, tie = np.float32(1 + 3 * 2.0**-12), np.float32(1 + 2.0**-11)
    values = np.array([1, up, tie, -tie, 1 + 2.0**-12, np.inf, -np.inf, np.nan, 0, 1e-45], np.float32)
    y = ga.empty(10, np.uint32)
    module.get_function("round_all")(ga.to_gpu(values), y, block=(10, 1, 1))
    rounded = y.get().view(np.float32)
    expected = np.array([1, 1 + 2.0**-10, 1 + 2.0**-10, -1 - 2.0**-10, 1, np.inf, -np.inf, np.nan, 0, 0], np.float32)
    np.testing.assert_array_equal(rounded, expected)


@pytest.mark.parametrize("order", Order)
def test_bf16_through_ldmatrix(module, ga, rng, order):
    a = rng.standard_normal((16, 16)).astype(ml_dtypes.bfloat16)
    b = rng.standard_normal((16, 8)).astype(ml_dtypes.bfloat16)
    columns = np.zeros((16, 16), ml_dtypes.bfloat16)
    columns[:8] = b.T
    d = ga.empty((16, 8), np.float32)
    with controls.orders(order):
        module.get_function("product_bf16")(ga.to_gpu(a.view(np.uint16)), ga.to_gpu(columns.view(np.uint16)), d, **WARP)
        seen = d.get()
    wide = [x.astype(np.float64) for x in (a, b)]
    # Products of bfloat16 numbers are exact in float32: the error is that of 16 additions.
    bound = 16 * 2.0**-24 * (np.abs(wide[0]) @ np.abs(wide[1]))
    assert (np.abs(seen - wide[0] @ wide[1]) <= bound).all()


@pytest.mark.parametrize("transposed", [False, True])
def test_ldmatrix(module, ga, transposed):
    x = np.arange(256, dtype=np.uint16)
    y = ga.empty((32, 4), np.uint32)
    module.get_function("matrices_transposed" if transposed else "matrices")(ga.to_gpu(x), y, **WARP)
    four = x.reshape(4, 8, 8)
    if transposed:
        four = four.transpose(0, 2, 1)
    # Lane l has of each matrix the elements 2 (l % 4) and the next of row l / 4.
    pairs = np.ascontiguousarray(four).reshape(4, 32, 2)
    np.testing.assert_array_equal(y.get().view(np.uint16).reshape(32, 4, 2), pairs.transpose(1, 0, 2))


@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize("order", Order)
def test_asynchronous_copies(module, ga, rng, size, order):
    each = size // 4
    count, room = 20 * each, 32 * each
    x = rng.standard_normal((7, count), np.float32)
    y = ga.empty(room, np.float32)
    with controls.orders(order):
        module.get_function(f"pipeline_{size}")(ga.to_gpu(x), y, np.int32(7), np.int32(count), **WARP)
        seen = y.get()
    np.testing.assert_allclose(seen[:count], x.sum(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(seen[count:], -1)  # what is not valid becomes zero


def test_a_missing_wait_is_seen(module, ga, rng):
    x = ga.to_gpu(rng.standard_normal((7, 128), np.float32))
    y = ga.empty(128, np.float32)
    module.get_function("too_few_waits")(x, y, np.int32(7), np.int32(128), **WARP)
    assert not np.isfinite(y.get()).any()


@pytest.mark.parametrize("order", Order)
def test_a_missing_barrier_after_a_wait_is_seen(module, ga, order):
    x = ga.arange(64, dtype=np.float32)
    y = ga.empty(64, np.float32)
    with controls.orders(order):
        module.get_function("neighbours_right")(x, y, block=(64, 1, 1))
        np.testing.assert_array_equal(y.get(), np.arange(63, -1, -1))
        module.get_function("neighbours_wrong")(x, y, block=(64, 1, 1))
        assert np.isnan(y.get()).sum() >= 20


def test_copies_must_be_aligned_and_go_to_shared_memory(fails, ga, module):
    x = ga.zeros(64, np.float32)
    module.get_function("misaligned_copy")(x, np.int32(4), block=(1, 1, 1))
    fails("MISALIGNED_ADDRESS", "misaligned_copy", x, np.int32(1), block=(1, 1, 1))
    module.get_function("misaligned_row")(np.int32(0), **WARP)
    fails("MISALIGNED_ADDRESS", "misaligned_row", np.int32(1), **WARP)
    fails("ILLEGAL_ADDRESS", "copy_to_registers", x, block=(1, 1, 1))


def test_an_invalid_copy_reads_nothing(fails, ga, module):
    x, y = ga.zeros(64, np.float32), ga.empty(32, np.float32)
    module.get_function("copy_beyond_memory")(x, y, np.int32(0), **WARP)
    np.testing.assert_array_equal(y.get(), 0)
    fails("ILLEGAL_ADDRESS", "copy_beyond_memory", x, y, np.int32(1), **WARP)


def test_products_need_the_whole_warp(fails, ga):
    fails("LAUNCH_TIMEOUT", "half_a_warp", ga.zeros(32, np.float32), **WARP)
