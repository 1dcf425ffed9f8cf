"""What launches share: the workspace of a device, and scratch arrays, of each thread its own."""

import itertools

import numba
import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice, Scratch
from convnet.backends.cpu.memory import SharedMemory, aligned_bytes


def addresses(array):
    """The first byte of an array and the one behind its last."""
    return array.ctypes.data, array.ctypes.data + array.nbytes


@numba.njit(nogil=True)
def takes_one(start, stop, a):
    """Do nothing."""


@numba.njit(nogil=True)
def takes_two(start, stop, a, b):
    """Do nothing."""


@numba.njit(nogil=True)
def takes_six(start, stop, a, b, c, d, e, f):
    """Do nothing."""


KERNELS = {1: takes_one, 2: takes_two, 6: takes_six}


class Given:
    """What the threads of a launch were given, by number, as the last launch left it."""

    def __init__(self, launch):
        self._launch = launch

    def __getitem__(self, number):
        return self.values()[number]

    def values(self):
        return [tuple(call.arguments[2:]) for call in self._launch.job.calls]


def launch_of(dev, items, *arguments):
    """A launch, and what its parts were given."""
    launch = dev.parallel(KERNELS[len(arguments)], items, *arguments)
    return launch, Given(launch)


def test_blocks_are_aligned_and_zeroed():
    for size in (1, 10, 1000):
        block = aligned_bytes(size)
        assert block.ctypes.data % 64 == 0
        assert not block.any()


def test_shared_memory_is_as_large_as_the_largest_reservation():
    memory = SharedMemory()
    small, large = memory.reserve((3,), np.float64), memory.reserve((5, 7), np.float32)
    assert small().shape == (3,)
    assert large().shape == (5, 7)
    assert large().dtype == np.float32
    assert np.shares_memory(small(), large())


def test_views_are_made_once_and_again_when_the_memory_has_grown():
    memory = SharedMemory()
    early = memory.reserve((3,), np.float64)
    first = early()
    memory.reserve((2,), np.float64)
    assert early() is first
    late = memory.reserve((1000,), np.float64)
    assert late().ctypes.data == early().ctypes.data
    assert early() is not first
    assert early() is early()


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_every_part_has_scratch_arrays_of_its_own(parts):
    wanted = [Scratch((3, 5), np.float32), Scratch((7,), np.uint16), Scratch((2,), np.float64)]
    wanted.append(wanted[0])  # again: another array
    launch, given = launch_of(CpuDevice(threads=parts), parts, 3, *wanted, 4)
    launch()
    assert len(given.values()) == parts
    for before, *arrays, after in given.values():
        assert (before, after) == (3, 4)
        assert [(array.shape, array.dtype) for array in arrays] == [(item.shape, item.dtype) for item in wanted]
        assert all(array.flags.c_contiguous and array.ctypes.data % 64 == 0 for array in arrays)
    bounds = sorted(addresses(array) for _, *arrays, _ in given.values() for array in arrays)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(bounds))


def test_the_arrays_of_two_threads_are_far_apart():
    """Also when the memory has grown by less than lies behind it."""
    dev = CpuDevice(threads=3)
    for size in (17, 60_000):
        launch, given = launch_of(dev, 3, Scratch((size,), np.float32), Scratch((16,), np.float32))
        launch()
        threads = sorted([addresses(array) for array in given[thread]] for thread in range(3))
        gap = -4 * size % 64  # to the next line
        assert [second[0] - first[1] for first, second in threads] == 3 * [gap]
        assert all(after[0][0] - before[1][1] >= 1 << 17 for before, after in itertools.pairwise(threads))


def test_launches_take_turns_in_one_memory():
    dev = CpuDevice(threads=2)
    launches = [launch_of(dev, 2, Scratch((size,), np.float32)) for size in (5, 900, 30)]
    for launch, _ in launches:
        launch()
    starts = [given[0][0].ctypes.data for _, given in launches]
    assert starts[0] == starts[1] == starts[2]


def test_arrays_stay_until_a_later_launch_needs_more():
    dev = CpuDevice(threads=2)
    launch, given = launch_of(dev, 2, Scratch((5,), np.float32))
    launch()
    before = [given[part][0] for part in (0, 1)]
    launch()
    assert all(given[part][0] is before[part] for part in (0, 1))
    more, given_more = launch_of(dev, 2, Scratch((10_000,), np.float64))
    more()
    launch()
    after = [given[part][0] for part in (0, 1)]
    assert after[0].ctypes.data == given_more[0][0].ctypes.data
    assert after[0].shape == after[1].shape == (5,)
    assert not np.shares_memory(after[0], after[1])


def test_scratch_is_apart_from_the_workspace():
    dev = CpuDevice(threads=2)
    workspace = dev.workspace.reserve((100,), np.float32)
    launch, given = launch_of(dev, 2, workspace, Scratch((100,), np.float32))
    launch()
    for of_operation, of_part in given.values():
        assert of_operation is workspace()
        assert not np.shares_memory(of_operation, of_part)


def test_functions_are_called_at_each_launch():
    values = iter(range(100))
    launch, given = launch_of(CpuDevice(threads=1), 9, lambda: next(values))
    for expected in (0, 1, 2):
        launch()
        assert given[0] == (expected,)
