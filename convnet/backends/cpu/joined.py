"""Launches over the same cases, done case by case: what one makes is still in the cache when the next one reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numba import types

from convnet.backends.cpu.calls import make
from convnet.backends.cpu.counters import load, store
from convnet.backends.cpu.jit import callback
from convnet.backends.cpu.job import KernelJob
from convnet.backends.cpu.memory import APART, Array, aligned_bytes
from convnet.backends.cpu.team import TeamLaunch
from convnet.backends.launches import InTurn, Launch, Passing, in_turn

# A call of several: the address of what makes it, how many they are, the first block of cases and the one behind the
# last, and how many addresses of what passes between them; then of each its call's address, its items in a block, and
# its items in all; then of each address where it stands, what stands there otherwise, the room for what passes, and
# the bytes of a block.
_COUNT, _START, _STOP, _ADDRESSES, _MEMBERS = 8, 16, 24, 32, 40
_CALL, _EACH, _ITEMS, _MEMBER = 0, 8, 16, 24
_PLACE, _HOME, _ROOM, _BLOCK, _ADDRESS = 0, 8, 16, 24, 32

_FEWEST_BLOCKS = 2  # of cases for each thread; below, single launches give all threads something to do


class _Staying(NamedTuple):
    """An array that only these jobs of a group use. Others may have something else in its place, before or after."""

    array: Array
    jobs: list[KernelJob]


def joined(launches: Sequence[Launch], passing: Sequence[Passing] = ()) -> Launch:
    """One launch that does what these do, one behind the other; neighbours over the same cases case by case.

    passing: arrays that need not be written where they pass between such neighbours; each case then lies where the case
    before lay, in the cache.
    """
    groups: list[list[Launch]] = []
    users: list[list[Launch]] = [[] for _ in passing]
    for number, given in enumerate(launches):
        for launch in _single([given]):
            if groups and all(_independent(other, launch) for other in groups[-1]):
                groups[-1].append(launch)
            else:
                groups.append([launch])
            for each, using in zip(passing, users, strict=True):
                if number in each.users:
                    using.append(launch)
    inside = [(each.array, using) for each, using in zip(passing, users, strict=True)]
    return in_turn([_one(group, list(_staying(inside, group))) for group in groups])


def _staying(passing: Sequence[tuple[Array, Sequence[Launch]]], group: Sequence[Launch]) -> Iterator[_Staying]:
    """The arrays that of the launches which may use them only those of a group do."""
    members = set(map(id, group))
    for array, users in passing:
        jobs = [launch.job for launch in users if id(launch) in members and isinstance(launch, TeamLaunch)]
        others = [launch for launch in users if id(launch) not in members]
        if len(group) > 1 and not any(_may_use(launch, array) for launch in others):
            yield _Staying(array, [job for job in jobs if isinstance(job, KernelJob)])


def _may_use(launch: Launch, array: Array) -> bool:
    if isinstance(launch, TeamLaunch) and isinstance(launch.job, KernelJob):
        return launch.job.uses(array)
    return True


def _single(launches: Sequence[Launch]) -> Iterator[Launch]:
    """What launches are made of."""
    for launch in launches:
        yield from _single(launch.launches) if isinstance(launch, InTurn) else (launch,)


def _independent(first: Launch, second: Launch) -> bool:
    """Whether the second may be done for some cases before the first is done for the others."""
    if not (isinstance(first, TeamLaunch) and isinstance(second, TeamLaunch)) or not (first.cases and second.cases):
        return False
    if first.cases.number != second.cases.number or 1 < first.cases.together != second.cases.together > 1:
        return False
    one, other = first.job, second.job
    if not (isinstance(one, KernelJob) and isinstance(other, KernelJob)) or one.threads != other.threads:
        return False
    blocks = first.cases.number // max(first.cases.together, second.cases.together)
    return blocks >= _FEWEST_BLOCKS * one.threads and one.independent(other)


def _one(group: Sequence[Launch], staying: Sequence[_Staying]) -> Launch:
    """The launch of a group. Where some of its launches do several cases at once, others do these one by one."""
    found: list[TeamLaunch] = []
    for together, launches in groupby((launch for launch in group if isinstance(launch, TeamLaunch)), key=_together):
        alike = list(launches)
        found += [_case_by_case(alike)] if together == 1 else alike
    return _case_by_case(found, staying) if found else group[0]


def _together(launch: TeamLaunch) -> int:
    return launch.cases.together if launch.cases else 0


def _case_by_case(launches: Sequence[TeamLaunch], staying: Sequence[_Staying] = ()) -> TeamLaunch:
    if len(launches) == 1 and not staying:
        return launches[0]
    job = JoinedJob(launches, staying)
    return TeamLaunch(launches[0].team, job, job.blocks, job.cases)


class JoinedJob:
    """Several jobs for one block of cases after the other: as many as those of them do at once that do most."""

    def __init__(self, launches: Sequence[TeamLaunch], staying: Sequence[_Staying] = ()) -> None:
        """They have cases, equally many. staying: arrays that need not be written."""
        self._jobs, self._items = [launch.job for launch in launches], [launch.items for launch in launches]
        cases = [launch.cases for launch in launches if launch.cases]
        self.cases = max(cases, key=lambda each: each.together)
        self.blocks = -(-self.cases.number // self.cases.together)
        self._each = [
            self.cases.together * items // each.number if each.together == 1 else 1
            for items, each in zip(self._items, cases, strict=True)
        ]
        self.name, self.threads = ", ".join(job.name for job in self._jobs), self._jobs[0].threads
        self._staying, self._calls, self._rooms = staying, list[Array](), list[Array]()

    def refresh(self) -> None:
        """As in Job."""
        for job in self._jobs:
            job.refresh()
        if not self._calls:
            self._calls = [self._call(thread) for thread in range(self.threads)]

    @property
    def addresses(self) -> Sequence[int]:
        """As in Job."""
        return [call.ctypes.data for call in self._calls]

    def _call(self, thread: int) -> Array:
        """The call of a thread."""
        members = zip([job.addresses[thread] for job in self._jobs], self._each, self._items, strict=True)
        addresses = [numbers for each in self._staying for numbers in self._redirected(each, thread)]
        head = [_runner(), len(self._jobs), 0, 0, len(addresses)]
        return np.array([*head, *(number for numbers in (*members, *addresses) for number in numbers)], np.int64)

    def _redirected(self, staying: _Staying, thread: int) -> Iterator[tuple[int, int, int, int]]:
        """Where the calls of a thread have the address of an array, that address, the room instead of it, its size."""
        block = staying.array.nbytes // self.cases.number * self.cases.together
        room = aligned_bytes(block + APART)
        self._rooms.append(room)
        for job in staying.jobs:
            for place in job.calls[thread].pointers(staying.array):
                yield place, staying.array.ctypes.data, room.ctypes.data, block


@cache
def _runner() -> int:
    """The address of a function that makes a call of several, and tells whether one of them failed."""
    return int(callback(types.int64(types.intp), _run_blocks, "run_blocks").address)


def _run_blocks(address: int) -> int:
    failed = 0
    behind = address + _MEMBERS + load(address + _COUNT) * _MEMBER
    end = behind + load(address + _ADDRESSES) * _ADDRESS
    for block in range(load(address + _START), load(address + _STOP)):
        for each in range(behind, end, _ADDRESS):  # such that the cases of the block lie in the room
            store(load(each + _PLACE), load(each + _ROOM) - block * load(each + _BLOCK))
        for member in range(address + _MEMBERS, behind, _MEMBER):
            items, most = load(member + _EACH), load(member + _ITEMS)
            failed |= make(load(member + _CALL), block * items, min(most, (block + 1) * items))
    for each in range(behind, end, _ADDRESS):
        store(load(each + _PLACE), load(each + _HOME))
    return failed
