"""Threads that share the parts of a launch."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

import numba
import numpy as np
import pytest

from convnet.backends.cpu import team
from convnet.backends.cpu.counters import load, pause, store
from convnet.backends.cpu.team import Team, TeamLaunch

LONG = 200_000_000  # times to look: until a test is given up


@pytest.fixture(params=["awake", "asleep"])
def looks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether threads look for work for long, or go to sleep at once."""
    if request.param == "asleep":
        monkeypatch.setattr(team, "_LOOKS_FOR_WORK", 1)
        monkeypatch.setattr(team, "_LOOKS_FOR_END", 1)
    return str(request.param)


@numba.njit(nogil=True)
def count(part: int, done: Any) -> None:
    done[part] += 1


@numba.njit(nogil=True)
def meet(part: int, parts: int, here: int, met: Any) -> None:
    """Say that this part is here, and wait for the others. here: the address of a counter for each."""
    store(here + 8 * part, 1)
    for other in range(parts):
        left = LONG
        while load(here + 8 * other) == 0 and left > 0:
            pause()
            left -= 1
        met[part] += load(here + 8 * other)


@numba.njit(nogil=True)
def wait_for(part: int, flag: int, done: Any) -> None:
    """Wait for a flag at an address, but in part 0."""
    left = 0 if part == 0 else LONG
    while load(flag) == 0 and left > 0:
        pause()
        left -= 1
    done[part] += 1


@numba.njit(nogil=True)
def fail(part: int, failing: int, done: Any) -> None:
    if part == failing:
        raise ZeroDivisionError
    done[part] += 1


def counting(many: Team, parts: int) -> tuple[TeamLaunch, Any]:
    """A launch, and how often each part of it was done."""
    done = np.zeros(parts, np.int64)
    return TeamLaunch(many, count, [(part, done) for part in range(parts)]), done


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_part_is_done_once_before_a_launch_returns(looks: str, threads: int) -> None:
    many = Team(threads, "team")
    launches = [counting(many, parts) for parts in range(1, threads + 1)]
    for repeat in range(100):
        for launch, done in launches:
            launch()
            assert done.tolist() == [repeat + 1] * len(done)


def test_parts_are_done_at_the_same_time(looks: str) -> None:
    here, met = np.zeros(3, np.int64), np.zeros(3, np.int64)
    TeamLaunch(Team(3, "team"), meet, [(part, 3, here.ctypes.data, met) for part in range(3)])()
    assert met.tolist() == [3, 3, 3]


def test_work_is_done_after_a_pause(looks: str) -> None:
    launch, done = counting(Team(2, "team"), 2)
    for repeat in range(3):
        time.sleep(0.05)  # long enough to fall asleep
        launch()
        assert done.tolist() == [repeat + 1] * 2


def test_who_waits_for_a_slow_part_wakes_up(looks: str) -> None:
    flag, done = np.zeros(1, np.int64), np.zeros(2, np.int64)
    launch = TeamLaunch(Team(2, "team"), wait_for, [(part, flag.ctypes.data, done) for part in range(2)])
    threading.Timer(0.1, flag.fill, (1,)).start()
    launch()
    assert done.tolist() == [1, 1]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failure_is_told_when_all_are_done_and_only_once(looks: str, failing: int) -> None:
    three, done = Team(3, "team"), np.zeros(3, np.int64)
    with pytest.raises(RuntimeError, match=r"^kernel fail failed$"):
        TeamLaunch(three, fail, [(part, failing, done) for part in range(3)])()
    assert done.tolist() == [int(part != failing) for part in range(3)]
    launch, done = counting(three, 3)
    launch()
    assert done.tolist() == [1, 1, 1]


def test_threads_end_with_their_team(looks: str) -> None:
    many = Team(4, "a team of four")

    def running() -> int:
        return sum(thread.name == "a team of four" for thread in threading.enumerate())

    assert running() == 3
    counting(many, 4)[0]()
    del many
    gc.collect()
    until = time.monotonic() + 20
    while running() and time.monotonic() < until:
        time.sleep(0.01)
    assert not running()


def test_nothing_of_a_launch_that_is_gone_is_kept() -> None:
    two = Team(2, "team")
    launch, done = counting(two, 2)
    seen = weakref.ref(done)
    launch()
    del launch, done
    gc.collect()
    assert seen() is None


def test_what_a_launch_was_given_is_kept_with_it() -> None:
    two, total = Team(2, "team"), np.zeros(2, np.int64)
    launch = TeamLaunch(two, add, [(part, np.full(100_000, 7), total) for part in range(2)])
    launch()
    del two
    gc.collect()
    np.full(100_000, 9)  # would take the place of what is gone
    launch()
    assert total.tolist() == [1_400_000] * 2


@numba.njit(nogil=True)
def add(part: int, numbers: Any, total: Any) -> None:
    for number in numbers:
        total[part] += number


def test_work_given_after_an_interruption_is_done(looks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    two, flag, done = Team(2, "team"), np.zeros(1, np.int64), np.zeros(2, np.int64)

    def interrupted(_helper: object) -> None:
        raise KeyboardInterrupt

    slow = TeamLaunch(two, wait_for, [(part, flag.ctypes.data, done) for part in range(2)])
    with monkeypatch.context() as patch:
        patch.setattr(team, "_LOOKS_FOR_END", 1)
        patch.setattr(team._Helper, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            slow()
    launch, others = counting(two, 2)
    threading.Timer(0.1, flag.fill, (1,)).start()
    launch()
    assert (done.tolist(), others.tolist()) == ([1, 1], [1, 1])


def test_helpers_leave_the_core_to_which_the_caller_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[tuple[int, set[int]]] = []
    cores = iter([0, 0, 1, 1])
    monkeypatch.setattr(team, "_TELLS_CORES", True)
    monkeypatch.setattr(team, "_LIBRARY", type("Library", (), {"sched_getcpu": lambda _self: next(cores)})())
    monkeypatch.setattr(team.os, "sched_getaffinity", lambda _thread: {0, 1, 2}, raising=False)
    monkeypatch.setattr(team.os, "sched_setaffinity", lambda *given: moves.append(given), raising=False)
    three = Team(3, "team")
    first, second = (helper.thread for helper in three.helpers)
    launch, _ = counting(three, 3)
    for _ in range(4):
        launch()
    assert moves == [(first, {1, 2}), (second, {1, 2}), (first, {0, 2}), (second, {0, 2})]


def test_a_system_that_forbids_to_choose_cores(looks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(team.os, "sched_setaffinity", forbidden, raising=False)
    launch, done = counting(Team(2, "team"), 2)
    for _ in range(3):
        time.sleep(0.02)
        launch()
    assert done.tolist() == [3, 3]
