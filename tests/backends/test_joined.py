"""Launches over the same cases, done case by case: which ones are, in what order, and that nothing else changes."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from convnet.backends.cpu.device import Array, Cases, CpuDevice, Scratch
from convnet.backends.cpu.team import TeamLaunch
from convnet.backends.cpu.vectors import address
from convnet.backends.launches import InTurn, Passing, in_turn

CASES = 23  # enough for five threads to be joined


@numba.njit(nogil=True)
def note(start: int, stop: int, who: int, log: Array, count: Array) -> None:
    """Write down who did which items, one after the other; for one thread."""
    for item in range(start, stop):
        log[count[0]] = 1000 * who + item
        count[0] += 1


@numba.njit(nogil=True)
def mix(start: int, stop: int, x: Array, y: Array, room: Array) -> None:
    """y (items, 3) = what depends on the item and on x."""
    for item in range(start, stop):
        room[:] = item
        for i in range(3):
            y[item, i] = 3 * x[item, i] + room[i] * (1 + y[item, i])


@numba.njit(nogil=True)
def fail(start: int, stop: int, x: Array) -> None:
    if start <= 5 < stop:
        raise ZeroDivisionError
    for item in range(start, stop):
        x[item] += 1


class Noted:
    """Launches for one thread that note what they do."""

    def __init__(self) -> None:
        self.dev = CpuDevice(threads=1)
        self._log, self._count = np.zeros(10_000, np.int64), np.zeros(1, np.int64)
        self._made = 0

    def launch(self, items: int, cases: Cases | None, *, workspace: tuple[int, int] | None = None) -> TeamLaunch:
        """The next launch; workspace: first and last byte of what it uses."""
        self._made += 1
        shared = []
        if workspace:
            shared.append(self.dev.workspace.reserve((workspace[1] - workspace[0],), np.uint8, workspace[0]))
        kernel = note_with_room if shared else note
        return self.dev.parallel(kernel, items, self._made, self._log, self._count, *shared, cases=cases)

    def order(self, *launches: Any) -> list[int]:
        """1000 * launch + item, in the order in which joined launches do them."""
        self._count[0] = 0
        self.dev.joined(launches)()
        return [int(number) for number in self._log[: self._count[0]]]


@numba.njit(nogil=True)
def note_with_room(start: int, stop: int, who: int, log: Array, count: Array, room: Array) -> None:
    for item in range(start, stop):
        room[:] = who
        log[count[0]] = 1000 * who + item
        count[0] += 1


# All of these launches write to one log: the arrays are the same, as those that each case has its own part of may be.


def test_a_case_is_done_by_all_before_the_next_one() -> None:
    noted = Noted()
    one, two = noted.launch(3, Cases(3)), noted.launch(6, Cases(3))
    assert noted.order(one, two) == [1000, 2000, 2001, 1001, 2002, 2003, 1002, 2004, 2005]


def test_those_that_do_several_cases_at_once_set_the_pace() -> None:
    noted = Noted()
    launches = [
        noted.launch(5, Cases(5)), noted.launch(5, Cases(5)), noted.launch(3, Cases(5, together=2)),
        noted.launch(5, Cases(5)),
    ]  # fmt: skip
    assert noted.order(*launches) == [
        1000, 2000, 1001, 2001, 3000, 4000, 4001, 1002, 2002, 1003, 2003, 3001, 4002, 4003, 1004, 2004, 3002, 4004,
    ]  # fmt: skip


def test_launches_in_launches() -> None:
    noted = Noted()
    one, two, three = (noted.launch(2, Cases(2)) for _ in range(3))
    assert noted.order(in_turn([one, in_turn([two, three])])) == [1000, 2000, 3000, 1001, 2001, 3001]


@pytest.mark.parametrize("other", [
    pytest.param((2, None), id="no cases"), pytest.param((3, Cases(3)), id="other cases"),
])  # fmt: skip
def test_others_are_done_in_between(other: tuple[int, Cases | None]) -> None:
    noted = Noted()
    first, middle, last = noted.launch(2, Cases(2)), noted.launch(*other), noted.launch(2, Cases(2))
    between = [2000 + item for item in range(other[0])]
    assert noted.order(first, middle, last) == [1000, 1001, *between, 3000, 3001]


def test_two_paces_do_not_go_together() -> None:
    noted = Noted()
    one, two = noted.launch(2, Cases(4, together=2)), noted.launch(2, Cases(4, together=3))
    assert noted.order(one, two) == [1000, 1001, 2000, 2001]


@pytest.mark.parametrize(("second", "joined"), [((0, 100), False), ((99, 200), False), ((100, 200), True)])
def test_those_that_share_the_workspace_do_not(second: tuple[int, int], joined: bool) -> None:
    noted = Noted()
    one = noted.launch(2, Cases(2), workspace=(0, 100))
    two = noted.launch(2, Cases(2), workspace=second)
    assert noted.order(one, two) == ([1000, 2000, 1001, 2001] if joined else [1000, 1001, 2000, 2001])


@pytest.mark.parametrize(("threads", "joined"), [(1, True), (2, True), (3, False)])
def test_too_few_cases_for_all_threads_are_left_to_single_launches(threads: int, joined: bool) -> None:
    dev, x = CpuDevice(threads=threads), np.zeros(40)
    launches = [dev.parallel(add_number, 40, x, 1.0, cases=Cases(5)) for _ in range(2)]
    launch = dev.joined(launches)
    assert isinstance(launch, TeamLaunch) == joined
    launch()
    assert x.tolist() == [2.0] * 40


def test_no_cases_at_all() -> None:
    dev, x = CpuDevice(threads=2), np.zeros(0)
    dev.joined([dev.parallel(add_number, 0, x, 1.0, cases=Cases(0)) for _ in range(2)])()


def test_plain_functions_stay_what_they_are() -> None:
    noted, seen = Noted(), list[int]()
    one, two = noted.launch(2, Cases(2)), noted.launch(2, Cases(2))
    assert noted.order(one, lambda: seen.append(1), two) == [1000, 1001, 2000, 2001]
    assert seen == [1]


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("y", ["apart", "the same", "one case behind"])
def test_results_are_those_of_single_launches(threads: int, y: str) -> None:
    """Also where a result lies over what another case still needs: then they are done one after the other."""
    results = []
    for join in (False, True):
        dev, memory, size = CpuDevice(threads=threads), np.arange(9.0 * CASES), 3 * CASES
        start = {"apart": 3 * size, "the same": 0, "one case behind": 3}[y]
        x, middle, out = (memory[at : at + size].reshape(-1, 3) for at in (0, 2 * size, start))
        launches = [
            dev.parallel(mix, CASES, *pair, Scratch((3,), np.float64), cases=Cases(CASES))
            for pair in ((x, middle), (middle, out))
        ]  # fmt: skip
        launch = dev.joined(launches) if join else in_turn(launches)
        assert isinstance(launch, InTurn) == (not join or y == "one case behind")
        for _ in range(3):
            launch()
        results.append(memory.copy())
    np.testing.assert_array_equal(*results)


def test_threads_have_scratch_of_their_own_in_joined_launches() -> None:
    """Small scratch of one launch and large scratch of another, which threads use at the same time."""
    dev = CpuDevice(threads=4)
    x, y, z = (np.ones((200, 3)) for _ in range(3))
    launches = [
        dev.parallel(mix, 200, x, y, Scratch((3,), np.float64), cases=Cases(200)),
        dev.parallel(mix, 200, y, z, Scratch((300_000,), np.float64), cases=Cases(200)),
    ]
    expected_y = 3 * x + 2 * np.arange(200.0)[:, None]
    dev.joined(launches)()
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(z, 3 * expected_y + 2 * np.arange(200.0)[:, None])


class Chain:
    """Three launches: from x to middle, from there to y; and one that reads `middle` into z."""

    def __init__(self, threads: int, together: int = 1) -> None:
        self.dev = CpuDevice(threads=threads)
        self.x, self.middle, self.y, self.z = (np.full((CASES, 3), float(start)) for start in range(4))
        items, cases = -(-CASES // together), Cases(CASES, together)
        first = self.dev.parallel(copy_cases, items, self.x, self.middle, together, 2.0, cases=cases)
        second, self.third = (
            self.dev.parallel(copy_cases, CASES, self.middle, to, 1, 10.0, cases=Cases(CASES))
            for to in (self.y, self.z)
        )
        self.launches = [first, second]
        self.x += np.arange(CASES)[:, None]

    def passing(self, *users: int) -> list[Passing]:
        return [Passing(self.middle, frozenset(users))]


@numba.njit(nogil=True)
def copy_cases(start: int, stop: int, x: Array, y: Array, together: int, number: float) -> None:
    """y (cases, 3) = x + number, in items of some cases."""
    for case in range(start * together, min(len(x), stop * together)):
        for i in range(3):
            y[case, i] = x[case, i] + number


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("together", [1, 2])
def test_what_passes_between_launches_is_not_written(threads: int, together: int) -> None:
    chain = Chain(threads, together)
    launch = chain.dev.joined(chain.launches, chain.passing(0, 1))
    for _ in range(2):
        launch()
        np.testing.assert_array_equal(chain.y, chain.x + 12)
        assert np.all(chain.middle == 1)
        chain.x += 100
    for single in chain.launches:  # which are the same ones
        single()
    np.testing.assert_array_equal(chain.middle, chain.x + 2)
    np.testing.assert_array_equal(chain.y, chain.x + 12)


@numba.njit(nogil=True)
def note_places(start: int, stop: int, x: Array, places: Array) -> None:
    """places (cases, 2): from where to where a case of x (cases * 3) lies."""
    for case in range(start, stop):
        places[case, 0], places[case, 1] = address(x, 3 * case), address(x, 3 * case + 3)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("together", [1, 4])
def test_each_case_lies_where_the_one_before_lay(threads: int, together: int) -> None:
    dev, x = CpuDevice(threads=threads), np.zeros(3 * CASES)
    first, second = np.zeros((CASES, 2), np.int64), np.zeros((CASES, 2), np.int64)
    launches = [dev.parallel(note_places, CASES, x, places, cases=Cases(CASES)) for places in (first, second)]
    pace = dev.parallel(add_number, -(-CASES // together), np.zeros(CASES), 1.0, cases=Cases(CASES, together))
    dev.joined([*launches, pace], [Passing(x, frozenset((0, 1)))])()
    np.testing.assert_array_equal(first, second)
    places = {(begin, end) for begin, end in first.tolist()}
    assert len(places) in {together * count for count in range(1, threads + 1)}
    assert all(end == begin + 24 and not x.ctypes.data <= begin < x.ctypes.data + x.nbytes for begin, end in places)


@pytest.mark.parametrize("between", [False, True])
def test_what_another_launch_reads_is_written(between: bool) -> None:
    """Whether the reader is a launch that could be joined, too, or one that nobody knows anything about."""
    chain = Chain(2)
    last: Any = chain.third if between else lambda: np.add(chain.middle, 10, out=chain.z)
    stop = chain.dev.parallel(add_number, 3, np.zeros(3), 1.0)
    chain.dev.joined([*chain.launches, stop, last], chain.passing(0, 1, 3))()
    np.testing.assert_array_equal(chain.y, chain.x + 12)
    np.testing.assert_array_equal(chain.z, chain.x + 12)


def test_other_things_may_lie_in_the_place_of_what_passed() -> None:
    """A later launch, not among its users, has an array of its own there."""
    chain = Chain(2)
    stop = chain.dev.parallel(add_number, 3, np.zeros(3), 1.0)
    later = chain.dev.parallel(add_number, CASES, chain.middle.reshape(-1)[:CASES], 5.0, cases=Cases(CASES))
    chain.dev.joined([*chain.launches, stop, later], chain.passing(0, 1))()
    np.testing.assert_array_equal(chain.y, chain.x + 12)
    assert chain.middle.reshape(-1).tolist() == [6.0] * CASES + [1.0] * 2 * CASES


@pytest.mark.parametrize("threads", [1, 2])
def test_joined_launches_may_have_other_things_in_the_place_of_what_passes(threads: int) -> None:
    """What was there before is read, and what comes there afterwards is written."""
    chain = Chain(threads)
    chain.middle += np.arange(CASES)[:, None]
    before, expected = chain.third, chain.middle + 10
    after = chain.dev.parallel(copy_cases, CASES, chain.z, chain.middle, 1, 5.0, cases=Cases(CASES))
    launch = chain.dev.joined([before, *chain.launches, after], chain.passing(1, 2))
    assert isinstance(launch, TeamLaunch), "not all joined"
    launch()
    np.testing.assert_array_equal(chain.z, expected)
    np.testing.assert_array_equal(chain.y, chain.x + 12)
    np.testing.assert_array_equal(chain.middle, expected + 5)


def test_a_failure_leaves_arrays_in_their_places() -> None:
    chain = Chain(1)
    failing = chain.dev.parallel(fail, CASES, np.zeros(CASES), cases=Cases(CASES))
    with pytest.raises(RuntimeError, match="failed"):
        chain.dev.joined([*chain.launches, failing], chain.passing(0, 1))()
    chain.launches[0]()
    np.testing.assert_array_equal(chain.middle, chain.x + 2)


def test_a_failure_is_told() -> None:
    dev, x = CpuDevice(threads=2), np.zeros(9)
    launches = [dev.parallel(kernel, 9, x, cases=Cases(9)) for kernel in (fail, fail)]
    with pytest.raises(RuntimeError, match=r"^kernel fail, fail failed$"):
        dev.joined(launches)()
    assert x.tolist() == [2, 2, 2, 2, 2, 0, 2, 2, 2]


def test_what_changes_between_launches_is_seen() -> None:
    dev, x, y = CpuDevice(threads=1), np.zeros(4), iter([1.0, 2.0])
    add = dev.parallel(add_number, 4, x, lambda: next(y), cases=Cases(4))
    launch = dev.joined([add, dev.parallel(add_number, 4, x, 10.0, cases=Cases(4))])
    launch()
    launch()
    assert x.tolist() == [23.0] * 4


@numba.njit(nogil=True)
def add_number(start: int, stop: int, x: Array, number: float) -> None:
    for item in range(start, stop):
        x[item] += number


@pytest.mark.parametrize(("items", "cases"), [(7, Cases(3)), (2, Cases(5, together=2)), (10, Cases(5, together=2))])
def test_items_must_follow_the_cases(items: int, cases: Cases) -> None:
    with pytest.raises(ValueError, match="items do not follow"):
        CpuDevice(threads=1).parallel(fail, items, np.zeros(10), cases=cases)
