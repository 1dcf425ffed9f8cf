"""Streams run late, so that a wait that is missing shows."""

import numpy as np
import pytest

from tests.virtual_gpu import controls

SIZE = 100


@pytest.fixture
def twice(kernels):
    function = kernels("streams.cu").get_function("twice")
    function.prepare("PPi")
    return lambda x, y, stream: function.prepared_async_call((1, 1), (128, 1, 1), stream, x.ptr, y.ptr, SIZE)


@pytest.fixture
def arrays(context):
    from pycuda import gpuarray

    return [gpuarray.zeros(SIZE, np.float32) for _ in range(3)]


@pytest.fixture
def pinned(drv, context):
    array = drv.pagelocked_empty(SIZE, np.float32)
    array[:] = 1
    return array


def test_nothing_runs_before_somebody_waits(drv, twice, arrays, pinned):
    x, y, _ = arrays
    drv.Context.synchronize()
    stream = drv.Stream()
    before = controls.launches()
    drv.memcpy_htod_async(x.ptr, pinned, stream)
    twice(x, y, stream)
    assert controls.pending() == 2
    assert controls.launches() == before
    stream.synchronize()
    assert controls.pending() == 0
    assert controls.launches() == before + 1
    with controls.immediate():
        twice(x, y, stream)
        assert controls.launches() == before + 2


@pytest.mark.parametrize("wait", [True, False])
def test_a_missing_wait_is_seen(drv, twice, arrays, pinned, wait):
    x, y, _ = arrays
    drv.Context.synchronize()
    upload, compute, arrived = drv.Stream(), drv.Stream(), drv.Event()
    drv.memcpy_htod_async(x.ptr, pinned, upload)
    arrived.record(upload)
    if wait:
        compute.wait_for_event(arrived)
    twice(x, y, compute)
    compute.synchronize()
    seen = drv.from_device(y.ptr, SIZE, np.float32)
    np.testing.assert_array_equal(seen, 2 if wait else 0)


@pytest.mark.parametrize("wait", [True, False])
def test_overwriting_what_another_stream_still_reads_is_seen(drv, twice, arrays, pinned, wait):
    x, y, _ = arrays
    drv.memcpy_htod(x.ptr, pinned)
    upload, compute, read = drv.Stream(), drv.Stream(), drv.Event()
    twice(x, y, compute)
    read.record(compute)
    pinned[:] = 5
    if wait:
        upload.wait_for_event(read)
    drv.memcpy_htod_async(x.ptr, pinned, upload)
    upload.synchronize()
    compute.synchronize()
    np.testing.assert_array_equal(drv.from_device(y.ptr, SIZE, np.float32), 2 if wait else 10)


@pytest.mark.parametrize("wait", [True, False])
def test_a_pinned_buffer_reused_too_early_is_seen(drv, arrays, pinned, wait):
    x = arrays[0]
    stream = drv.Stream()
    drv.memcpy_htod_async(x.ptr, pinned, stream)
    if wait:
        stream.synchronize()
    pinned[:] = 9
    np.testing.assert_array_equal(drv.from_device(x.ptr, SIZE, np.float32), 1 if wait else 9)


def test_an_event_recorded_too_early_is_seen(drv, twice, arrays, pinned):
    x, y, _ = arrays
    drv.Context.synchronize()
    upload, compute, arrived = drv.Stream(), drv.Stream(), drv.Event()
    arrived.record(upload)
    drv.memcpy_htod_async(x.ptr, pinned, upload)
    compute.wait_for_event(arrived)
    twice(x, y, compute)
    compute.synchronize()
    np.testing.assert_array_equal(drv.from_device(y.ptr, SIZE, np.float32), 0)


def test_a_wait_is_for_the_moment_at_which_it_is_given(drv, twice, arrays, pinned):
    """An event that was not recorded yet holds nobody up, and one recorded again neither holds up earlier waits."""
    x, y, _ = arrays
    drv.Context.synchronize()
    upload, compute, event = drv.Stream(), drv.Stream(), drv.Event()
    compute.wait_for_event(event)
    event.record(upload)
    compute.wait_for_event(event)
    drv.memcpy_htod_async(x.ptr, pinned, upload)
    event.record(upload)
    twice(x, y, compute)
    compute.synchronize()
    assert controls.pending() == 2
    np.testing.assert_array_equal(drv.from_device(y.ptr, SIZE, np.float32), 0)


def test_pageable_memory_is_read_when_the_copy_is_given(drv, arrays):
    x = arrays[0]
    stream = drv.Stream()
    host = np.full(SIZE, 3, np.float32)
    drv.memcpy_htod_async(x.ptr, host, stream)
    host[:] = 4
    assert controls.pending() > 0
    back = np.empty(SIZE, np.float32)
    drv.memcpy_dtoh_async(back, x.ptr, stream)
    np.testing.assert_array_equal(back, 3)


def test_a_download_into_pinned_memory_is_late(drv, arrays, pinned):
    x = arrays[0]
    stream = drv.Stream()
    drv.Context.synchronize()
    drv.memcpy_dtoh_async(pinned, x.ptr, stream)
    assert (pinned == 1).all()
    stream.synchronize()
    assert (pinned == 0).all()


def test_the_default_stream_keeps_step_with_the_others(drv, twice, arrays, pinned):
    x, y, z = arrays
    stream = drv.Stream()
    drv.memcpy_htod_async(x.ptr, pinned, stream)
    twice(x, y, None)
    twice(y, z, stream)
    stream.synchronize()
    np.testing.assert_array_equal(drv.from_device(z.ptr, SIZE, np.float32), 4)


def test_events_tell_the_time_and_whether_they_passed(drv, twice, arrays):
    x, y, _ = arrays
    drv.Context.synchronize()
    stream, start, end = drv.Stream(), drv.Event(), drv.Event()
    start.record(stream)
    twice(x, y, stream)
    end.record(stream)
    assert not start.query()
    with pytest.raises(drv.Error, match="NOT_READY"):
        end.time_since(start)
    end.synchronize()
    assert start.query()
    assert 0 < end.time_since(start) < 1000


def test_polling_gets_there(drv, twice, arrays):
    x, y, _ = arrays
    stream, end = drv.Stream(), drv.Event()
    for _ in range(5):
        twice(x, y, stream)
    end.record(stream)
    asked = 0
    while not end.query():
        asked += 1
    assert 1 < asked < 20


def test_which_of_two_streams_runs_first_is_a_setting(drv, twice, arrays, pinned):
    x, y, _ = arrays
    seen = set()
    for order in (controls.Order.ASCENDING, controls.Order.DESCENDING):
        drv.memset_d32(x.ptr, 0, SIZE)
        drv.Context.synchronize()
        upload, compute = drv.Stream(), drv.Stream()
        drv.memcpy_htod_async(x.ptr, pinned, upload)
        twice(x, y, compute)
        with controls.orders(blocks=order):
            drv.Context.synchronize()
        seen.add(float(drv.from_device(y.ptr, 1, np.float32)[0]))
    assert seen == {0, 2}


def test_freeing_waits_for_what_is_queued(drv, twice, arrays, pinned):
    stream = drv.Stream()
    target = arrays[0]
    source = drv.mem_alloc(4 * SIZE)
    drv.memcpy_htod_async(source, pinned, stream)
    drv.memcpy_dtod_async(target.ptr, source, 4 * SIZE, stream)
    source.free()
    stream.synchronize()
    np.testing.assert_array_equal(target.get(), 1)
