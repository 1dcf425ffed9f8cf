"""The look-alike of libcuda, as unmodified PyCUDA sees it."""

import ctypes

import numpy as np
import pytest

from tests.virtual_gpu import controls


def test_devices(drv):
    assert drv.Device.count() == 2
    device = drv.Device(1)
    assert device.name() == "Virtual GPU 1"
    assert device.total_memory() == 2**30
    assert device.compute_capability() == (8, 0)
    assert device.get_attribute(drv.device_attribute.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN) == 163 * 1024
    with controls.capability(120, device=1), controls.devices(3):
        assert device.compute_capability() == (12, 0)
        assert device.get_attribute(drv.device_attribute.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN) == 99 * 1024
        assert drv.Device.count() == 3
    assert drv.Device.count() == 2
    with pytest.raises(drv.LogicError, match="INVALID_DEVICE"):
        drv.Device(2)


def test_parameters_of_all_sizes_packed_by_pycuda(drv, kernels):
    from pycuda.gpuarray import zeros

    out = zeros(6, np.float64)
    mixed = kernels("arrays.cu").get_function("mixed")
    mixed.prepare(["b", "d", "h", "q", "12s", "P"])
    affine = np.array([2.5, -3.5, 0], np.float32).tobytes()
    mixed.prepared_call((1, 1), (1, 1, 1), -7, 1.25, -300, 2**40, affine, out.gpudata)
    np.testing.assert_array_equal(out.get(), [-7, 1.25, -300, 2**40, 2.5, -3.5])


def test_parameters_of_the_wrong_size_are_an_error(drv, kernels, capfd):
    from pycuda.gpuarray import zeros

    out = zeros(10, np.float32)
    fill = kernels("arrays.cu").get_function("fill")
    with pytest.raises(drv.LogicError, match="INVALID_VALUE"):
        fill(out, np.float64(1), np.int64(10), block=(32, 1, 1))
    assert 'kernel "fill" takes 16 bytes of parameters, it was given 24' in capfd.readouterr().err


def test_constants_and_globals_of_a_module(drv, kernels):
    from pycuda.gpuarray import to_gpu

    module = kernels("arrays.cu")
    factors, size = module.get_global("factors")
    assert size == 16
    drv.memcpy_htod(factors, np.array([1, 10, 100, 1000], np.float32))
    x = to_gpu(np.arange(6, dtype=np.float32))
    for _ in range(2):
        module.get_function("times_factors")(x, block=(6, 1, 1))
    np.testing.assert_array_equal(x.get(), [0, 100, 20000, 3e6, 4, 500])
    calls = np.empty(1, np.int32)
    drv.memcpy_dtoh(calls, module.get_global("calls")[0])
    assert calls[0] == 2


def test_grids_and_blocks_of_three_dimensions(drv, kernels):
    from pycuda.gpuarray import empty

    out = empty((3 * 2 * 5, 4 * 3 * 2), np.int32)
    kernels("arrays.cu").get_function("places")(out, grid=(3, 2, 5), block=(4, 3, 2))
    np.testing.assert_array_equal(out.get(), np.arange(30)[:, None] * 1000 + np.arange(24))


def test_launches_beyond_the_limits_are_refused(drv, kernels):
    from pycuda.gpuarray import empty

    out = empty(2048, np.int32)
    bounded, places = map(kernels("arrays.cu").get_function, ("at_most_128", "places"))
    assert bounded.max_threads_per_block == 128
    bounded(out, block=(128, 1, 1))
    for function, block, shared in (
        (bounded, (129, 1, 1), 0),
        (places, (1025, 1, 1), 0),
        (places, (1, 1, 65), 0),
        (places, (0, 1, 1), 0),
        (places, (1, 1, 1), 48 * 1024 + 1),
    ):
        with pytest.raises(drv.LogicError, match="INVALID_VALUE"):
            function(out, block=block, shared=shared)
    attribute = drv.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES
    places.set_attribute(attribute, 163 * 1024)
    places(out, block=(1, 1, 1), shared=163 * 1024)
    with pytest.raises(drv.LogicError, match="INVALID_VALUE"):
        places.set_attribute(attribute, 163 * 1024 + 1)


def test_gpuarrays(context, rng):
    from pycuda import gpuarray
    from pycuda.elementwise import ElementwiseKernel

    x = rng.standard_normal((33, 7), np.float32)
    y = rng.standard_normal((33, 7), np.float32)
    gx, gy = gpuarray.to_gpu(x), gpuarray.to_gpu(y)
    np.testing.assert_allclose((gx * 2 + gy).get(), x * 2 + y, rtol=1e-6)
    kernel = ElementwiseKernel("float *x, const float *y, float a", "x[i] = fmaxf(x[i], a * y[i])")
    kernel(gx, gy, np.float32(0.5))
    np.testing.assert_allclose(gx.get(), np.maximum(x, 0.5 * y), rtol=1e-6)
    np.testing.assert_array_equal(gpuarray.to_gpu(np.asfortranarray(x)).get(), x)


def test_fresh_memory_is_not_a_number(context):
    from pycuda import gpuarray

    assert np.isnan(gpuarray.empty(1000, np.float32).get()).all()


def test_fills(drv, context):
    memory = drv.mem_alloc(64)
    values = np.empty(16, np.uint32)
    drv.memset_d32(memory, 0x01020304, 16)
    drv.memset_d8(int(memory) + 4, 0xAB, 3)
    drv.memcpy_dtoh(values, memory)
    np.testing.assert_array_equal(values, [0x01020304, 0x01ABABAB] + [0x01020304] * 14)


def test_copies_of_two_dimensions(drv, context, rng):
    x = rng.standard_normal((5, 8), np.float32)
    memory, pitch = drv.mem_alloc_pitch(8 * 4, 5, 4)
    there = drv.Memcpy2D()
    there.set_src_host(x)
    there.set_dst_device(memory)
    there.src_pitch, there.dst_pitch, there.width_in_bytes, there.height = 32, pitch, 32, 5
    there(aligned=True)
    part = np.empty((3, 2), np.float32)
    back = drv.Memcpy2D()
    back.set_src_device(memory)
    back.set_dst_host(part)
    back.src_pitch, back.src_x_in_bytes, back.src_y = pitch, 4 * 4, 1
    back.dst_pitch, back.width_in_bytes, back.height = 8, 8, 3
    back(aligned=False)
    np.testing.assert_array_equal(part, x[1:4, 4:6])


def test_copies_beyond_an_allocation_are_refused(drv, context):
    memory = drv.mem_alloc(100)
    for start, size in ((0, 101), (4, 100), (100, 1)):
        with pytest.raises(drv.LogicError, match="INVALID_VALUE"):
            drv.memcpy_htod(int(memory) + start, np.zeros(size, np.uint8))
    with pytest.raises(drv.LogicError, match="INVALID_VALUE"):
        drv.memset_d8(memory, 0, 101)


def test_out_of_memory(drv, context):
    free, total = drv.mem_get_info()
    assert total == 2**30
    with controls.memory(total - free + 1000):
        kept = drv.mem_alloc(600)
        assert drv.mem_get_info()[0] == 400
        with pytest.raises(drv.MemoryError, match="OUT_OF_MEMORY"):
            drv.mem_alloc(401)
        kept.free()
        drv.mem_alloc(1000)
    assert drv.mem_get_info() == (free, total)


@pytest.fixture
def other_context(drv, context):
    """A context on device 1, not current."""
    made = drv.Device(1).make_context()
    made.pop()
    yield made
    made.detach()


@pytest.fixture
def there(drv, other_context):
    """Memory of device 1 for 100 numbers."""
    other_context.push()
    memory = drv.mem_alloc(400)
    other_context.pop()
    return memory


def test_copies_between_devices(drv, context, there, rng):
    x = rng.standard_normal(100, np.float32)
    here, back = drv.to_device(x), drv.mem_alloc(x.nbytes)
    stream = drv.Stream()
    drv.memcpy_dtod_async(there, here, x.nbytes, stream)
    drv.memcpy_dtod_async(back, there, x.nbytes, stream)
    stream.synchronize()
    np.testing.assert_array_equal(drv.from_device_like(back, x), x)


def test_peer_copies(drv, context, other_context, there, rng):
    """By the driver itself: pycuda.driver.memcpy_peer (2026.1) gives it the current context in place of both."""
    driver = ctypes.CDLL("libcuda.so.1")
    x = rng.standard_normal(100, np.float32)
    here = drv.to_device(x)
    mine, other = ctypes.c_void_p(context.handle), ctypes.c_void_p(other_context.handle)
    source, target, size = ctypes.c_uint64(int(here)), ctypes.c_uint64(int(there)), ctypes.c_size_t(x.nbytes)
    assert driver.cuMemcpyPeer(target, other, source, mine, size) == 0
    other_context.push()
    np.testing.assert_array_equal(drv.from_device_like(there, x), x)
    drv.memset_d8(there, 0, x.nbytes)
    other_context.synchronize()
    other_context.pop()
    stream = drv.Stream()
    assert driver.cuMemcpyPeerAsync(source, mine, target, other, size, ctypes.c_void_p(stream.handle)) == 0
    stream.synchronize()
    np.testing.assert_array_equal(drv.from_device_like(here, x), 0 * x)
    invalid_value = 1
    assert driver.cuMemcpyPeer(target, mine, source, other, size) == invalid_value


def test_kernels_reach_other_devices_only_where_peers_were_enabled(drv, context, other_context, kernels, capfd):
    fill = kernels("arrays.cu").get_function("fill")
    other_context.push()
    there = drv.mem_alloc(40)
    other_context.pop()
    assert drv.Device(0).can_access_peer(drv.Device(1))
    fill(there, np.float32(2), np.int32(10), block=(32, 1, 1))
    with pytest.raises(drv.LogicError, match="ILLEGAL_ADDRESS"):
        context.synchronize()
    assert "a pointer into a device that is no peer" in capfd.readouterr().err
    context.enable_peer_access(other_context)
    fill(there, np.float32(3), np.int32(10), block=(32, 1, 1))
    context.synchronize()
    other_context.push()
    np.testing.assert_array_equal(drv.from_device(there, 10, np.float32), 3)
    other_context.pop()


def test_what_is_left_is_listed(drv, context):
    before = controls.alive()
    memory = drv.mem_alloc(12345)
    stream, event = drv.Stream(), drv.Event()
    pinned = drv.pagelocked_empty(7, np.float64)
    left = controls.alive() - before
    assert left == {
        controls.Alive("device memory", 0, 12345): 1,
        controls.Alive("pinned memory", 0, 56): 1,
        controls.Alive("stream", 0, 0): 1,
        controls.Alive("event", 0, 0): 1,
    }
    with pytest.raises(AssertionError, match="device memory"), controls.no_leaks():
        more = drv.mem_alloc(100)
    del memory, stream, event, pinned, more
    assert controls.alive() == before


def test_primary_contexts_are_counted(drv):
    device = drv.Device(1)
    before = controls.alive()
    first, second = device.retain_primary_context(), device.retain_primary_context()
    first.push()
    memory = drv.mem_alloc(10)
    drv.Context.pop()
    assert controls.Alive("primary context", 1, 0) in controls.alive()
    del memory, first
    assert controls.Alive("primary context", 1, 0) in controls.alive()
    del second
    assert controls.alive() == before
