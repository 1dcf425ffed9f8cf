"""Threads that share the parts of a launch."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from convnet.backends.cpu import team
from convnet.backends.cpu.team import Team


@pytest.fixture(params=["awake", "asleep"])
def looks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether threads look for work for long, or go to sleep at once."""
    if request.param == "asleep":
        monkeypatch.setattr(team, "_LOOKS_FOR_WORK", 1)
        monkeypatch.setattr(team, "_LOOKS_FOR_END", 1)
    return str(request.param)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_part_is_done_once_before_run_returns(looks: str, threads: int) -> None:
    many, done = Team(threads, "team"), []
    for launch in range(300):
        parts = launch % threads + 1
        many.run([(lambda *part: done.append(part), (launch, part)) for part in range(parts)])
        assert sorted(done) == [(launch, part) for part in range(parts)]
        done.clear()


def test_parts_are_done_at_the_same_time(looks: str) -> None:
    meeting = threading.Barrier(3, timeout=20)
    Team(3, "team").run([(meeting.wait, ()) for _ in range(3)])


def test_work_is_done_after_a_pause(looks: str) -> None:
    two, done = Team(2, "team"), []
    for _ in range(3):
        time.sleep(0.05)  # long enough to fall asleep
        two.run([(done.append, (0,)), (done.append, (1,))])
    assert sorted(done) == [0, 0, 0, 1, 1, 1]


def test_who_waits_for_a_slow_part_wakes_up(looks: str) -> None:
    two = Team(2, "team")
    for _ in range(3):
        two.run([(int, ()), (time.sleep, (0.05,))])


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_is_raised_when_all_are_done_and_only_once(looks: str, failing: int) -> None:
    three, done = Team(3, "team"), []

    def part(number: int) -> None:
        if number == failing:
            raise ZeroDivisionError(str(number))
        time.sleep(0.02)
        done.append(number)

    with pytest.raises(ZeroDivisionError, match=str(failing)):
        three.run([(part, (number,)) for number in range(3)])
    assert sorted(done) == [number for number in range(3) if number != failing]
    three.run([(done.append, (9,))] * 3)
    assert done[2:] == [9, 9, 9]


def test_threads_end_with_their_team(looks: str) -> None:
    many = Team(4, "a team of four")

    def running() -> int:
        return sum(thread.name == "a team of four" for thread in threading.enumerate())

    assert running() == 3
    many.run([(int, ())] * 4)
    del many
    gc.collect()
    until = time.monotonic() + 20
    while running() and time.monotonic() < until:
        time.sleep(0.01)
    assert not running()


def test_nothing_given_is_kept() -> None:
    class Thing:
        """Told by whether it is still there."""

    two, thing = Team(2, "team"), Thing()
    seen, parts = weakref.ref(thing), [(int, ()), (id, (thing,))]
    two.run(parts)
    del thing, parts
    gc.collect()
    assert seen() is None


def test_errors_of_all_parts_are_forgotten_together(looks: str) -> None:
    three, done = Team(3, "team"), []
    with pytest.raises(ZeroDivisionError):
        three.run([(divmod, (1, 0))] * 3)
    three.run([(done.append, (1,))] * 3)
    assert done == [1, 1, 1]


def test_work_given_after_an_interruption_is_done(looks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    two, done = Team(2, "team"), []

    def interrupted(_helper: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(team._Helper, "wait", interrupted)
        patch.setattr(team._Helper, "give", lambda helper, part: (setattr(helper, "part", part), helper._call()))
        with pytest.raises(KeyboardInterrupt):
            two.run([(int, ()), (time.sleep, (0.05,))])
    two.run([(done.append, (0,)), (done.append, (1,))])
    assert sorted(done) == [0, 1]


def test_a_system_that_forbids_to_choose_cores(looks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(team.os, "sched_setaffinity", forbidden, raising=False)
    two, done = Team(2, "team"), []
    for _ in range(3):
        time.sleep(0.02)
        two.run([(done.append, (0,)), (done.append, (1,))])
    assert sorted(done) == [0, 0, 0, 1, 1, 1]
