"""Accesses to one number by two threads that nothing orders: wrong kernels fail, right ones beside them do not."""

import numpy as np
import pytest

from tests.virtual_gpu import controls
from tests.virtual_gpu.controls import Order

ROUNDS = np.int32(3)


@pytest.fixture(params=list(Order), ids=lambda order: order.name.lower())
def order(request):
    """Runs the test with threads and blocks in one order."""
    with controls.orders(request.param, request.param, seed=3):
        yield request.param


@pytest.fixture
def launch(drv, context, kernels):
    """A function that launches a kernel of races.cu, and what it gives: y, of 1024 numbers, from x."""
    with controls.races():
        module = kernels("races.cu")
        kept = []

        def run(name, *arguments, threads=64, blocks=1, dtype=np.int32):
            x = np.arange(1, 1025).astype(dtype)
            device_x, device_y = drv.to_device(x), drv.to_device(np.zeros_like(x))
            kept.extend([device_x, device_y])
            pointers = [device_y] if name.startswith(WITHOUT_INPUT) else [device_x, device_y]
            module.get_function(name)(*pointers, *arguments, block=(threads, 1, 1), grid=(blocks, 1))
            drv.Context.synchronize()
            return drv.from_device_like(device_y, x)

        yield run
        for array in kept:
            array.free()


WITHOUT_INPUT = ("count", "handed_on", "flag", "bytes", "halves")


@pytest.fixture
def races(drv, launch, capfd):
    """A function that launches and asserts an error with this text; kernels run afterwards as before."""

    def run(name, *arguments, text="", **how):
        with pytest.raises(drv.Error, match="LAUNCH_FAILED"):
            launch(name, *arguments, **how)
        printed = capfd.readouterr().err
        assert printed.startswith(f'virtual GPU: kernel "{name}" block (')
        assert ": race: " in printed
        assert text in printed
        assert printed.count("\n") == 1
        assert ", at " in printed
        assert launch("count_right")[0] == 64

    return run


SHAPES = [(32, 1), (64, 1), (1, 2)]


@pytest.mark.parametrize(("threads", "blocks"), SHAPES, ids=["lanes", "warps", "blocks"])
@pytest.mark.usefixtures("order")
def test_atomics(launch, races, threads, blocks):
    how = {"threads": threads, "blocks": blocks}
    assert launch("count_right", **how)[0] == threads * blocks
    assert launch("count_shared_right", **how)[blocks - 1] == threads
    races("count_wrong", text="device memory", **how)


@pytest.mark.usefixtures("order")
def test_an_atomic_and_a_plain_access(races):
    races("count_mixed_wrong")


def test_the_line_tells_who_and_where(races):
    races(
        "count_wrong",
        text='kernel "count_wrong" block (0, 0, 0) thread (1, 0, 0): race: reads device memory that '
        "thread (0, 0, 0) wrote, in no order, at kernel.cu:9\n",
    )
    races("count_wrong", threads=1, blocks=2, text="that another block wrote")


BLOCKS = [("tree", 128), ("two_sums", 128), ("neighbours", 64), ("other_warp", 64), ("replaced", 64)]


@pytest.mark.parametrize(("name", "threads"), BLOCKS, ids=[name for name, _ in BLOCKS])
@pytest.mark.usefixtures("order")
def test_a_removed_barrier(launch, races, name, threads):
    launch(f"{name}_right", threads=threads)
    launch(f"{name}_right", threads=threads)
    races(f"{name}_wrong", threads=threads, text="shared memory")


@pytest.mark.usefixtures("order")
def test_lanes_that_wait_for_some_others(launch, races):
    x = np.arange(1, 65)
    np.testing.assert_array_equal(launch("neighbours_in_pairs_right")[:64], x.reshape(-1, 2)[:, ::-1].ravel())
    races("neighbours_alone_wrong")
    assert launch("handed_on_right", threads=32)[0] == 5
    races("handed_on_wrong", threads=32)


@pytest.mark.usefixtures("order")
def test_reading_together_is_no_race(launch):
    np.testing.assert_array_equal(launch("read_one_right", blocks=3)[:192], 2)


@pytest.mark.usefixtures("order")
def test_launches_are_ordered_and_blocks_are_not(drv, context, kernels, capfd):
    """x to y, y to x: each launch reads what all blocks of the last one wrote."""
    with controls.races():
        shift = kernels("races.cu").get_function("shift")
        x, y = drv.to_device(np.arange(200, dtype=np.int32)), drv.to_device(np.zeros(200, np.int32))
        for source, target in ((x, y), (y, x), (x, y)):
            shift(source, target, block=(32, 1, 1), grid=(4, 1))
        np.testing.assert_array_equal(drv.from_device(y, 100, np.int32), np.arange(3, 103))
        shift(x, x, block=(1, 1, 1), grid=(4, 1))
        with pytest.raises(drv.Error, match="LAUNCH_FAILED"):
            context.synchronize()
        assert "another block" in capfd.readouterr().err
        x.free()
        y.free()


def test_the_same_value_written_by_all_is_a_race(races):
    races("flag_wrong", text="writes device memory that thread (0, 0, 0) wrote")


def test_parts_of_a_word_have_threads_of_their_own(launch, races):
    assert launch("bytes_right", dtype=np.int8)[63] == 63
    assert launch("halves_right", dtype=np.int16)[63] == 63
    races("bytes_and_words_wrong", threads=2)
    launch("bytes_and_words_wrong", threads=1)


@pytest.mark.usefixtures("order")
def test_asynchronous_copies(launch, races):
    x = np.arange(1, 193, dtype=np.float32).reshape(3, 64)
    found = launch("fetched_right", ROUNDS, dtype=np.float32)
    np.testing.assert_array_equal(found[:64], np.roll(x.sum(0), -33))
    for name in ("unwaited", "early", "between"):
        races(f"fetched_{name}_wrong", ROUNDS, dtype=np.float32, text="shared memory")


@pytest.mark.usefixtures("order")
def test_ldmatrix(launch, races):
    launch("rows_right", threads=32)
    races("rows_wrong", threads=32, text="shared memory")


def test_nothing_is_looked_for_unless_asked(drv, context, kernels, compile_kernels):
    """Compiled for it and not asked for; asked for and not compiled for it."""
    with controls.races():
        checked = compile_kernels("races.cu")
    plain = compile_kernels("races.cu")
    assert b"__tsan_read4" in checked
    assert b"__tsan" not in plain
    y = drv.to_device(np.zeros(1, np.int32))
    drv.module_from_buffer(checked).get_function("count_wrong")(y, block=(64, 1, 1))
    context.synchronize()
    with controls.races():
        drv.module_from_buffer(plain).get_function("count_wrong")(y, block=(64, 1, 1))
        context.synchronize()
    assert drv.from_device(y, 1, np.int32)[0] == 128
    y.free()
