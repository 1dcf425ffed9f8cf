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
from convnet.backends.cpu.job import KernelJob
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
def count(start: int, stop: int, done: Any) -> None:
    for item in range(start, stop):
        done[item] += 1


@numba.njit(nogil=True)
def meet(start: int, stop: int, items: int, here: int, met: Any) -> None:
    """Say that these items are here, and wait for the others. here: the address of a counter for each."""
    for item in range(start, stop):
        store(here + 8 * item, 1)
        for other in range(items):
            left = LONG
            while load(here + 8 * other) == 0 and left > 0:
                pause()
                left -= 1
            met[item] += load(here + 8 * other)


@numba.njit(nogil=True)
def wait_for(start: int, stop: int, flag: int, waiting: int, done: Any) -> None:
    """Wait for a flag at an address in the item `waiting`."""
    for item in range(start, stop):
        left = LONG if item == waiting else 0
        while load(flag) == 0 and left > 0:
            pause()
            left -= 1
        done[item] += load(flag) if item == waiting else 1


@numba.njit(nogil=True)
def fail(start: int, stop: int, failing: int, done: Any) -> None:
    for item in range(start, stop):
        if item == failing:
            raise ZeroDivisionError
        done[item] += 1


def shared(many: Team, kernel: Any, items: int, *arguments: Any) -> TeamLaunch:
    """A launch that all threads of a team take part in, if there are enough items."""
    return TeamLaunch(many, KernelJob(kernel, [arguments] * min(items, len(many.helpers) + 1)), items)


def counting(many: Team, items: int) -> tuple[TeamLaunch, Any]:
    """A launch, and how often each item of it was done."""
    done = np.zeros(items, np.int64)
    return shared(many, count, items, done), done


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_item_is_done_once_before_a_launch_returns(looks: str, threads: int) -> None:
    many = Team(threads, "team")
    launches = [counting(many, items) for items in (1, 2, 5, 17, 1000)]
    for repeat in range(100):
        for launch, done in launches:
            launch()
            assert done.tolist() == [repeat + 1] * len(done)


def test_items_are_done_at_the_same_time(looks: str) -> None:
    here, met = np.zeros(3, np.int64), np.zeros(3, np.int64)
    shared(Team(3, "team"), meet, 3, 3, here.ctypes.data, met)()
    assert met.tolist() == [3, 3, 3]


@pytest.mark.parametrize("waiting", [0, 199])
def test_who_is_done_takes_items_of_a_slow_thread(waiting: int) -> None:
    """One of two threads waits in its first or its last item until all others are done."""
    flag, done = np.zeros(1, np.int64), np.zeros(200, np.int64)
    launch = shared(Team(2, "team"), wait_for, 200, flag.ctypes.data, waiting, done)
    seen: list[int] = []

    def end() -> None:
        until = time.monotonic() + 20
        # The slow thread holds the piece that it waits in: 200 items are 16 pieces of 12 or 13.
        while done.sum() < 200 - 13 and time.monotonic() < until:
            time.sleep(0.001)
        seen.append(int(done.sum()))
        flag.fill(1)

    watch = threading.Thread(target=end)
    watch.start()
    launch()
    watch.join()
    assert seen[0] >= 200 - 13
    assert done.tolist() == [1] * 200


def test_work_is_done_after_a_pause(looks: str) -> None:
    launch, done = counting(Team(2, "team"), 2)
    for repeat in range(3):
        time.sleep(0.05)  # long enough to fall asleep
        launch()
        assert done.tolist() == [repeat + 1] * 2


@pytest.mark.parametrize("waiting", [0, 1])
def test_who_waits_for_a_slow_item_wakes_up(looks: str, waiting: int) -> None:
    flag, done = np.zeros(1, np.int64), np.zeros(2, np.int64)
    launch = shared(Team(2, "team"), wait_for, 2, flag.ctypes.data, waiting, done)
    threading.Timer(0.1, flag.fill, (1,)).start()
    launch()
    assert done.tolist() == [1, 1]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failure_is_told_when_all_are_done_and_only_once(looks: str, failing: int) -> None:
    three, done = Team(3, "team"), np.zeros(3, np.int64)
    with pytest.raises(RuntimeError, match=r"^kernel fail failed$"):
        shared(three, fail, 3, failing, done)()
    assert done.tolist() == [int(item != failing) for item in range(3)]
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
    launch = shared(two, add, 2, np.full(100_000, 7), total)
    launch()
    del two
    gc.collect()
    np.full(100_000, 9)  # would take the place of what is gone
    launch()
    assert total.tolist() == [1_400_000] * 2


@numba.njit(nogil=True)
def add(start: int, stop: int, numbers: Any, total: Any) -> None:
    for item in range(start, stop):
        for number in numbers:
            total[item] += number


@numba.njit(nogil=True)
def hold(start: int, stop: int, flags: int, done: Any) -> None:
    """Item 0 waits until item 1 is begun, by another thread; item 1 says that, and waits for the second flag."""
    for item in range(start, stop):
        if item == 1:
            store(flags, 1)
        left = LONG
        while load(flags + 8 * item) == 0 and left > 0:
            pause()
            left -= 1
        done[item] += 1


def test_work_given_after_an_interruption_is_done(looks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the wait of the interrupted launch is interrupted, too; until then nothing of it is freed."""
    two, flags, done = Team(2, "team"), np.zeros(2, np.int64), np.zeros(2, np.int64)

    def interrupted(_helper: object) -> None:
        raise KeyboardInterrupt

    slow = shared(two, hold, 2, flags.ctypes.data, done)
    seen = weakref.ref(slow)
    with monkeypatch.context() as patch:
        patch.setattr(team, "_LOOKS_FOR_END", 1)
        patch.setattr(team._Helper, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            slow()
    del slow
    gc.collect()
    assert seen() is not None
    threading.Timer(0.2, flags.fill, (1,)).start()
    launch, others = counting(two, 1)  # which takes no helper
    launch()
    assert (done.tolist(), others.tolist()) == ([1, 1], [1])
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize("after", ["launch", "work"])
def test_an_interrupted_launch_is_done_when_the_interruption_arrives(
    after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether helpers sleep, and are not woken yet, or are at work."""
    two, done = Team(2, "team"), np.zeros(1000, np.int64)
    monkeypatch.setattr(team, "_LOOKS_FOR_WORK", 1)
    original, found = getattr(team.mailbox, after), []

    def interrupted(table: int, looks: int) -> int:
        found.append(original(table, looks))
        raise KeyboardInterrupt

    counting(two, 2)[0]()
    time.sleep(0.05)  # until helpers sleep
    with monkeypatch.context() as patch:
        patch.setattr(team.mailbox, after, interrupted)
        with pytest.raises(KeyboardInterrupt):
            shared(two, count, 1000, done)()
    assert found[0] == team.mailbox.SLEEPING or after == "work"
    assert done.tolist() == [1] * 1000
    launch, others = counting(two, 50)
    launch()
    assert others.tolist() == [1] * 50


def test_a_launch_that_could_not_be_prepared_can_be_made_later() -> None:
    two, done, tried = Team(2, "team"), np.zeros(2, np.int64), []

    def late() -> Any:
        tried.append(None)
        if len(tried) == 2:
            raise MemoryError
        return done

    launch = TeamLaunch(two, KernelJob(count, [(late,), (late,)]), 2)
    with pytest.raises(MemoryError):
        launch()
    launch()
    assert done.tolist() == [1, 1]


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
