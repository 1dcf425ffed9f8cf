"""The device that counts allocations sees them: of an array by name, in an expression, and for a copy."""

import numba
import numpy as np
import pytest

from .counting import CountingDevice


@numba.njit(nogil=True)
def by_name(start, stop, x, y):
    for item in range(start, stop):
        line = np.empty(3)
        line[:] = x[item]
        y[item] = line[1]


@numba.njit(nogil=True)
def in_an_expression(start, stop, x, y):
    for item in range(start, stop):
        y[item] = (x * y).sum()


@numba.njit(nogil=True)
def for_an_overlapping_copy(start, stop, x, y):
    for _ in range(start, stop):
        x[1:] = x[:-1]


@numba.njit(nogil=True)
def never(start, stop, x, y):
    x[start:stop] = y[start:stop]


@numba.njit(nogil=True)
def never_of_a_tuple(start, stop, pair):
    pair[0][start:stop] = pair[1][start:stop]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "expected"), [(by_name, 5), (in_an_expression, 5), (for_an_overlapping_copy, 5), (never, 0)]
)
def test_allocations_are_counted(kernel, expected, threads):
    dev = CountingDevice(threads=threads)
    launch = dev.parallel(kernel, 5, np.ones(5), np.ones(5))
    launch()
    assert dev.allocations(launch) == expected


def test_arrays_in_tuples_are_arguments():
    dev = CountingDevice(threads=2)
    launch = dev.parallel(never_of_a_tuple, 5, (np.ones(5), np.ones(5)))
    launch()
    assert dev.allocations(launch) == 0
