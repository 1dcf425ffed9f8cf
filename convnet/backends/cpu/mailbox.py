"""How threads pass calls to each other: kernels that read and write a few counters, and never need the GIL.

A helper's mailbox holds how many calls it was given and the address of the last one, how many it has done, whether one
of them has failed, and whether the helper sleeps. A launch's table holds the number of helpers, the caller's own call,
whether that failed, and the mailbox and the call of each helper.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from convnet.backends.cpu.calls import make
from convnet.backends.cpu.counters import load, pause, store
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.memory import Array

SIZE = 192  # bytes of a mailbox: what its two sides write lies in cache lines of their own
_GIVEN, _CALL, _DONE, _FAILURE, _ASLEEP = 0, 8, 64, 72, 128

_HELPERS, _OWN_CALL, _OWN_FAILURE, _FIRST, _STEP = 0, 8, 16, 24, 16

NOTHING = 0  # a call that ends `serve`

# What came of a launch. BUSY: nothing was begun, for a helper is at work on another one. SLEEPING: helpers must be
# woken, and the caller's own part is left to do. WORKING: helpers are still at it.
FINISHED, FAILED, BUSY, SLEEPING, WORKING = range(5)


def table(own: int, others: Iterable[tuple[int, int]]) -> Array:
    """The table of a launch: the address of the caller's call, and of each helper's mailbox and call."""
    pairs = list(others)
    return np.array([len(pairs), own, 0, *(address for pair in pairs for address in pair)], np.int64)


@kernel
def launch(table: int, looks: int) -> int:
    """Begin a launch, do the caller's part, and look so often whether the others' is done."""
    for number in range(load(table + _HELPERS)):
        helper = load(table + _FIRST + number * _STEP)
        if load(helper + _GIVEN) != load(helper + _DONE):
            return BUSY
    asleep = 0
    for number in range(load(table + _HELPERS)):
        entry = table + _FIRST + number * _STEP
        store(load(entry) + _FAILURE, 0)
        _give(load(entry), load(entry + 8))
        asleep += load(load(entry) + _ASLEEP)
    return SLEEPING if asleep > 0 else _work(table, looks)


@kernel
def work(table: int, looks: int) -> int:
    """As `launch`, of one that is begun."""
    return _work(table, looks)


@kernel
def end(table: int) -> int:
    """What came of a launch whose parts are all done."""
    return _end(table)


@inlined
def _work(table: int, looks: int) -> int:
    store(table + _OWN_FAILURE, make(load(table + _OWN_CALL)))
    for number in range(load(table + _HELPERS)):
        if not _is_done(load(table + _FIRST + number * _STEP), looks):
            return WORKING
    return _end(table)


@inlined
def _end(table: int) -> int:
    failures = load(table + _OWN_FAILURE)
    for number in range(load(table + _HELPERS)):
        failures += load(load(table + _FIRST + number * _STEP) + _FAILURE)
    return FAILED if failures > 0 else FINISHED


@kernel
def give(helper: int, call: int) -> None:
    """Put a call into a helper's mailbox."""
    _give(helper, call)


@inlined
def _give(helper: int, call: int) -> None:
    store(helper + _CALL, call)
    store(helper + _GIVEN, load(helper + _GIVEN) + 1)


@kernel
def is_done(helper: int, looks: int) -> bool:
    """Whether a helper has done what it was given; looks so often."""
    return _is_done(helper, looks)


@inlined
def _is_done(helper: int, looks: int) -> bool:
    left = looks
    while left > 1 and load(helper + _DONE) != load(helper + _GIVEN):
        pause()
        left -= 1
    return load(helper + _DONE) == load(helper + _GIVEN)


@kernel
def serve(helper: int, looks: int) -> None:
    """Make the calls that a helper is given, until it has looked so often for the next in vain, or is given NOTHING."""
    left, done = looks, load(helper + _DONE)
    while left > 0:
        if load(helper + _GIVEN) == done:
            pause()
            left -= 1
            continue
        call = load(helper + _CALL)
        if call == NOTHING:
            return
        if make(call) != 0:
            store(helper + _FAILURE, 1)
        done += 1
        store(helper + _DONE, done)
        left = looks


@kernel
def falls_asleep(helper: int) -> bool:
    """Whether there is still nothing to do, once everyone can see that the helper sleeps."""
    store(helper + _ASLEEP, 1)
    if load(helper + _GIVEN) == load(helper + _DONE):
        return True
    store(helper + _ASLEEP, 0)
    return False


@kernel
def wakes_up(helper: int) -> None:
    """The helper sleeps no more."""
    store(helper + _ASLEEP, 0)
