"""Threads of a block and lanes of a warp, in three orders."""

import numpy as np
import pytest

from tests.virtual_gpu import controls
from tests.virtual_gpu.controls import Order


@pytest.fixture(params=list(Order), ids=lambda order: order.name.lower())
def order(request):
    """Runs the test with threads and blocks in one order."""
    with controls.orders(request.param, request.param, seed=3):
        yield request.param


@pytest.fixture
def module(kernels):
    return kernels("threads.cu")


@pytest.fixture
def launch(drv, module):
    """A function that launches a kernel of threads.cu and waits for it."""

    def run(name, *arguments, **how):
        module.get_function(name)(*arguments, **how)
        drv.Context.synchronize()

    return run


@pytest.fixture
def ga(context):
    from pycuda import gpuarray

    return gpuarray


def test_barriers(launch, ga, order):
    x = ga.arange(512, dtype=np.int32)
    y = ga.empty_like(x)
    launch("reverse_right", x, y, block=(256, 1, 1), grid=(2, 1))
    np.testing.assert_array_equal(y.get(), np.r_[255:-1:-1, 511:255:-1])


def test_a_removed_barrier_is_seen(launch, ga, order):
    x = ga.arange(512, dtype=np.int32)
    y = ga.empty_like(x)
    launch("reverse_wrong", x, y, block=(256, 1, 1), grid=(2, 1))
    wrong = y.get() != np.r_[255:-1:-1, 511:255:-1]
    assert wrong.sum() >= 100
    assert (y.get()[wrong] == -1).all()  # the poison of shared memory


def test_a_removed_second_barrier_is_seen(launch, ga, rng, order):
    values = rng.integers(1, 1000, (5, 256)).astype(np.int32)
    x = ga.to_gpu(values)
    y = ga.empty(256, np.int32)
    expected = np.roll(values.sum(0), -37)
    launch("tiles_right", x, y, np.int32(5), block=(256, 1, 1))
    np.testing.assert_array_equal(y.get(), expected)
    launch("tiles_wrong", x, y, np.int32(5), block=(256, 1, 1))
    assert (y.get() != expected).sum() >= 30


def test_lanes_do_not_go_in_step(launch, ga):
    """One order alone may hide the mistake: here every lane reads lanes above it."""
    x = ga.arange(32, dtype=np.int32)
    seen = {}
    for order in Order:
        for name in ("warp_sum_right", "warp_sum_wrong"):
            y = ga.zeros(1, np.int32)
            with controls.orders(order):
                launch(name, x, y, block=(32, 1, 1))
            seen[name, order.name] = int(y.get()[0])
    assert {value for (name, _), value in seen.items() if name == "warp_sum_right"} == {496}
    assert seen["warp_sum_wrong", "DESCENDING"] == 496
    assert seen["warp_sum_wrong", "ASCENDING"] != 496
    assert seen["warp_sum_wrong", "SHUFFLED"] != 496


def test_shuffles(launch, ga, rng, order):
    x = rng.standard_normal(64, np.float32)
    y = ga.empty((6, 64), np.float32)
    launch("shuffles", ga.to_gpu(x), y, block=(64, 1, 1))
    lane = np.arange(32)
    sources = np.stack([
        (lane * 7 + 3) % 32,
        lane // 8 * 8 + 5,
        np.where(lane >= 3, lane - 3, lane),
        np.where(lane % 16 + 5 < 16, lane + 5, lane),
        lane ^ 9,
        lane ^ 1,
    ])  # fmt: skip
    both = np.concatenate([x[:32][sources], x[32:][sources]], axis=1)
    both[5] *= 3
    np.testing.assert_allclose(y.get(), both, rtol=1e-7)


def test_votes(launch, ga, rng, order):
    x = rng.integers(0, 5, 64).astype(np.int32)
    x[:32] = np.minimum(x[:32], 3)
    y = ga.empty((9, 64), np.uint32)
    launch("votes", ga.to_gpu(x), y, block=(64, 1, 1))
    weights = 2 ** np.arange(32, dtype=np.uint64)
    for first in (0, 32):
        values, seen = x[first : first + 32], y.get()[:, first : first + 32]
        assert (seen[0] == (weights * (values > 2)).sum()).all()
        assert (seen[1] == (4 in values)).all()
        assert (seen[2] == 1).all()
        np.testing.assert_array_equal(seen[3], [(weights * (values == value)).sum() for value in values])
        assert (seen[4] == values.sum()).all()
        assert (seen[5] == values.max()).all()
        assert (seen[6] == (x == 1).sum()).all()
        assert (seen[7] == 0).all()
        assert (seen[8] == 1).all()


def test_parts_of_warps_and_lanes_that_returned(launch, ga, order):
    y = ga.zeros(32, np.int32)
    launch("parts_of_warps", y, block=(32, 1, 1))
    np.testing.assert_array_equal(y.get(), [*range(110, -1, -10), *[8] * 16, 0, 0, 0, 0])


def test_an_absent_lane_gives_nan(launch, ga):
    y = ga.zeros(16, np.float32)
    launch("reads_an_absent_lane", y, block=(32, 1, 1))
    assert np.isnan(y.get()).all()


def test_atomics(launch, ga, order):
    y = ga.zeros(7, np.int32)
    u = ga.to_gpu(np.array([0, 0xFF, 0, 0], np.uint32))
    f = ga.zeros(2, np.float32)
    launch("atomics", y, u, f, block=(50, 1, 1), grid=(2, 1))
    first = y.get()[4] - 1
    np.testing.assert_array_equal(y.get(), [4950, -50, 198, -100, first + 1, 1, 1])
    np.testing.assert_array_equal(u.get(), [0xFFFFFFFF, 0xF0, 0, 0])
    np.testing.assert_array_equal(f.get(), [50, 1])
    expected = {Order.ASCENDING: 0, Order.DESCENDING: 99}.get(controls.Order(order), first)
    assert first == expected
    assert 0 <= first < 100


def test_order_dependent_sums_are_seen(launch, ga, rng):
    x = ga.to_gpu(rng.standard_normal(2000, np.float32))
    sums = {"sum_in_order": set(), "sum_by_atomics": set()}
    for name, seen in sums.items():
        for blocks in Order:
            y = ga.zeros(1, np.float32)
            with controls.orders(blocks=blocks):
                launch(name, x, y, np.int32(2000), block=(100, 1, 1), grid=(20, 1))
            seen.add(float(y.get()[0]))
    assert len(sums["sum_in_order"]) == 1
    assert len(sums["sum_by_atomics"]) > 1


def test_seeds_give_different_orders(launch, ga):
    firsts = set()
    for seed in range(1, 9):
        y, u, f = ga.zeros(7, np.int32), ga.zeros(4, np.uint32), ga.zeros(2, np.float32)
        with controls.orders(Order.SHUFFLED, Order.SHUFFLED, seed):
            launch("atomics", y, u, f, block=(50, 1, 1), grid=(2, 1))
        firsts.add(int(y.get()[4]))
    assert len(firsts) > 3


def test_shared_memory_is_not_a_number_before_each_block(launch, ga):
    y = ga.zeros((3, 64), np.float32)
    launch("untouched_shared", y, block=(32, 1, 1), grid=(3, 1), shared=128)
    assert np.isnan(y.get()).all()
