"""Kernels that are called with their arguments from memory get the arguments that Python would have passed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from convnet.backends.cpu.calls import Call, make
from convnet.backends.cpu.job import KernelJob
from convnet.backends.cpu.team import Team, TeamLaunch


class Sizes(NamedTuple):
    """A tuple with names, in a tuple, as kernels get geometries."""

    height: int
    share: float


@numba.njit
def call(address: int) -> int:
    return make(address, 11, -12)


@numba.njit
def told(start: int, stop: int, number: Any, out: Any) -> None:
    out[0] = number


@numba.njit
def told_sizes(start: int, stop: int, sizes: Any, flag: bool, out: Any) -> None:
    out[0] = sizes[1].height if flag else -1
    out[1] = sizes[1].share
    out[2] = sizes[0]


@numba.njit
def told_array(start: int, stop: int, before: int, array: Any, after: int, out: Any) -> None:
    out[0] = before
    out[1] = after
    out[2] = array.shape[0]
    for row in range(array.shape[0]):
        for column in range(array.shape[1]):
            out[3] = 31 * out[3] + array[row, column]


@numba.njit
def told_arrays(start: int, stop: int, arrays: Any, out: Any) -> None:
    for number in range(len(arrays)):
        out[number] = arrays[number].sum()


@pytest.mark.parametrize("value", [
    0, -1, 2**62, True, False, 0.1, -1e300, float("inf"), np.float32(0.1), np.float32(-3e38), np.float64(0.1),
    np.uint32(4_000_000_000), np.int32(-5), np.uint8(200), np.int64(-(2**62)), np.uint64(2**64 - 1), np.bool_(True),
])  # fmt: skip
def test_numbers(value: Any) -> None:
    out = np.zeros(1, np.asarray(value).dtype)
    assert call(Call(told, (0, 0, value, out)).address) == 0
    assert out[0] == value
    assert out.dtype != np.float32 or out[0].tobytes() == np.float32(value).tobytes()


def test_the_first_and_the_last_item_are_those_of_the_call() -> None:
    out = np.zeros(2, np.int64)
    call(Call(told_range, (0, 0, out)).address)
    assert out.tolist() == [11, -12]


@numba.njit
def told_range(start: int, stop: int, out: Any) -> None:
    out[0] = start
    out[1] = stop


def test_tuples_in_tuples() -> None:
    out = np.zeros(3)
    call(Call(told_sizes, (0, 0, (7, Sizes(-3, 0.125)), True, out)).address)
    assert out.tolist() == [-3, 0.125, 7]
    call(Call(told_sizes, (0, 0, (7, Sizes(-3, 0.125)), False, out)).address)
    assert out.tolist() == [-1, 0.125, 7]


@pytest.mark.parametrize("array", [
    np.arange(12.0).reshape(3, 4), np.arange(12.0).reshape(3, 4).T, np.arange(48.0).reshape(6, 8)[1::2, ::3],
    np.zeros((0, 4)), np.arange(12, dtype=np.uint8).reshape(3, 4),
], ids=["whole", "turned", "part", "empty", "bytes"])  # fmt: skip
def test_arrays_of_any_order(array: Any) -> None:
    found, expected = np.zeros(4), np.zeros(4)
    call(Call(told_array, (0, 0, 5, array, -6, found)).address)
    told_array(0, 0, 5, array, -6, expected)
    assert found.tolist() == expected.tolist()


def test_tuples_of_arrays() -> None:
    out = np.zeros(3)
    call(Call(told_arrays, (0, 0, (np.ones(2), np.ones(3), np.ones(4)), out)).address)
    assert out.tolist() == [2, 3, 4]


def test_an_argument_is_replaced_in_its_place() -> None:
    out = np.zeros(4)
    given = Call(told_array, (0, 0, 5, np.ones((2, 1)), -6, out))
    given.replace(3, np.full((1, 3), 2.0))
    given.replace(4, 8)
    call(given.address)
    assert out.tolist() == [5, 8, 1, 2 * (31 * 31 + 31 + 1)]


@pytest.mark.parametrize(("place", "other"), [(1 + 2, np.ones(2)), (1 + 2, np.ones((1, 3), "f")), (2 + 2, 0.5)])
def test_an_argument_of_another_type_is_an_error(place: int, other: Any) -> None:
    given = Call(told_array, (0, 0, 5, np.ones((2, 1)), -6, np.zeros(4)))
    with pytest.raises(TypeError, match=f"^argument {place} of a kernel: expected .*, found "):
        given.replace(place, other)


def test_functions_among_the_arguments_are_called_at_each_launch() -> None:
    numbers, out = iter([1.5, 2.5, 3.5]), np.zeros(1)
    launch = TeamLaunch(Team(1, "team"), KernelJob(told, [(lambda: next(numbers), out)]), 1)
    found = []
    for _ in range(2):
        launch()
        found.append(out[0])
    assert found == [1.5, 2.5]
