"""A kernel with a mistake ends in an error that says where, and the process lives on."""

import faulthandler

import numpy as np
import pytest

from tests.virtual_gpu import controls


@pytest.fixture
def faults(kernels):
    return kernels("faults.cu")


@pytest.fixture
def array(context):
    from pycuda import gpuarray

    return gpuarray.zeros(10, np.float32)


@pytest.fixture
def fails(drv, context, kernels, capfd):
    """A function that launches and asserts the error and the line on stderr; kernels run afterwards as before."""
    from pycuda import gpuarray

    def launch(error, text, function, *arguments, **how):
        function(*arguments, **{"block": (32, 1, 1), **how})
        with pytest.raises(drv.Error, match=error):
            context.synchronize()
        printed = capfd.readouterr().err
        assert printed.startswith("virtual GPU: kernel ")
        assert text in printed
        assert controls.last_fault() in printed
        good = gpuarray.zeros(5, np.float32)
        kernels("arrays.cu").get_function("fill")(good, np.float32(3), np.int32(5), block=(32, 1, 1))
        np.testing.assert_array_equal(good.get(), 3)

    return launch


def nowhere(array):
    """The number of an element that would lie in the first pages of memory, which no process has."""
    return np.int64((8192 - array.ptr) // array.itemsize)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (64, "216 bytes behind an allocation of 40 bytes"),
        (10000, "bytes behind an allocation of 40 bytes"),
        (-2000, "bytes before an allocation of 40 bytes"),
        (None, "near no allocation"),
        (1 << 45, "one that no memory can have"),
    ],
)
def test_stores_outside_of_memory(faults, fails, array, place, text):
    before = np.asarray(array.get())
    to = nowhere(array) if place is None else np.int64(place)
    fails("ILLEGAL_ADDRESS", text, faults.get_function("store_at"), array, to)
    np.testing.assert_array_equal(array.get(), before)


def test_the_place_of_a_fault_is_told(faults, fails, array):
    where = 'kernel "store_at" block (0, 0, 0) thread (0, 0, 0): illegal address'
    fails("ILLEGAL_ADDRESS", where, faults.get_function("store_at"), array, nowhere(array))


@pytest.mark.parametrize(("place", "text"), [(10, "behind the end"), (63, "behind the end"), (-1, "before the start")])
def test_stores_just_outside_of_an_allocation(faults, fails, array, place, text):
    """No guard page is so near: what lies around the memory is compared after the launch."""
    fails("ILLEGAL_ADDRESS", f"a write {text} of an allocation of 40 bytes", faults.get_function("store_at"), array,
          np.int64(place), block=(1, 1, 1))  # fmt: skip
    array.gpudata.free()


def test_memory_is_not_given_out_again(drv, faults, fails, context):
    old = drv.mem_alloc(4096)
    address = int(old)
    old.free()
    kept = [drv.mem_alloc(4096) for _ in range(3)]
    fails("ILLEGAL_ADDRESS", "illegal address", faults.get_function("store_at"), np.uint64(address), np.int64(0))
    del kept


@pytest.mark.parametrize("name", ["load_float4_at", "load_parts_at"])
def test_misaligned_vectors(drv, faults, fails, array, context, name):
    from pycuda import gpuarray

    target = gpuarray.zeros(4, np.float32)
    kernel = faults.get_function(name)
    kernel(array, target, np.int32(4), block=(32, 1, 1))
    context.synchronize()
    fails("MISALIGNED_ADDRESS", "misaligned", kernel, array, target, np.int32(1))


def test_misaligned_numbers(faults, fails, array):
    fails("MISALIGNED_ADDRESS", "misaligned", faults.get_function("store_double_at"), array, np.int32(4))


@pytest.mark.parametrize(("place", "text"), [(16, "behind the end of the dynamic"), (-3, "outside its dynamic")])
def test_accesses_outside_of_dynamic_shared_memory(faults, fails, array, context, place, text):
    kernel = faults.get_function("dynamic_shared_at")
    kernel(array, np.int32(15), block=(1, 1, 1), shared=64)
    context.synchronize()
    fails("ILLEGAL_ADDRESS", text, kernel, array, np.int32(place), block=(1, 1, 1), shared=64)


def test_a_stack_overflow(faults, fails, array, context):
    kernel = faults.get_function("deep")
    kernel(array, np.int32(10), block=(1, 1, 1))
    context.synchronize()
    fails("HARDWARE_STACK_ERROR", "stack", kernel, array, np.int32(100000), block=(1, 1, 1))


def test_a_barrier_after_some_threads_returned(faults, fails, context):
    from pycuda import gpuarray

    x = gpuarray.zeros(64, np.float32)
    kernel = faults.get_function("leaves_some")
    kernel(x, np.int32(64), block=(64, 1, 1))
    assert x.get().sum() == 64
    fails("LAUNCH_FAILED", "__syncthreads after some threads", kernel, x, np.int32(32), block=(64, 1, 1))
    x.fill(0)
    with controls.lenient_barriers():
        kernel(x, np.int32(32), block=(64, 1, 1))
        assert x.get().sum() == 32


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("waits_for_absent_lanes", "LAUNCH_TIMEOUT", "deadlock: of 32 threads 16 wait at __syncthreads, 16 wait in a"),
        ("masks_differ", "LAUNCH_TIMEOUT", "come with another mask"),
        ("not_in_own_mask", "LAUNCH_FAILED", "thread (0, 0, 0): a lane is not in the mask"),
        ("different_collectives", "LAUNCH_FAILED", "different collectives"),
        ("traps", "CUDA_ERROR_ASSERT", "thread (3, 0, 0): __trap()"),
    ],
)
def test_mistakes_within_a_warp(faults, fails, context, name, error, text):
    from pycuda import gpuarray

    fails(error, text, faults.get_function(name), gpuarray.zeros(32, np.int32))


def test_division_by_zero(faults, fails, array):
    fails("LAUNCH_FAILED", "divided by zero", faults.get_function("divides"), array, np.int32(0))


def test_an_error_is_told_once_and_ends_what_was_queued_behind(drv, faults, kernels, array, context, capfd):
    stream = drv.Stream()
    faults.get_function("store_at")(array, nowhere(array), block=(1, 1, 1), stream=stream)
    kernels("arrays.cu").get_function("fill")(array, np.float32(7), np.int32(10), block=(32, 1, 1), stream=stream)
    with pytest.raises(drv.Error, match="ILLEGAL_ADDRESS"):
        stream.synchronize()
    stream.synchronize()
    np.testing.assert_array_equal(array.get(), 0)
    assert capfd.readouterr().err.count("\n") == 1


def test_handlers_of_others_are_kept(faults, fails, array):
    enabled = faulthandler.is_enabled()
    fails("ILLEGAL_ADDRESS", "illegal", faults.get_function("store_at"), array, nowhere(array))
    assert faulthandler.is_enabled() == enabled
