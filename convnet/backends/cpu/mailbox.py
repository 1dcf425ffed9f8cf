"""How threads share the work of a launch: kernels that read and write a few counters, and never need the GIL.

A helper's mailbox holds its number, how many launches it was given and the table of the last one, how many it has done,
and whether it sleeps. A launch's table holds how many threads take part, its items, into how many pieces each thread's
share of them is cut, whether something failed, and of each thread its call and its mailbox, and how many pieces of its
share are taken. A thread that is done with its own share takes pieces of the others': cores are not equally fast, where
other programs run or the hardware has two kinds of them, and a helper may still be waking up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types

from convnet.backends.cpu.calls import make
from convnet.backends.cpu.counters import load, pause, store, take
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.memory import Array, aligned_bytes

_LINE = 64  # bytes: what different threads write lies in cache lines of its own
_GIVEN, _TABLE, _NUMBER, _DONE, _ASLEEP, _MAILBOX = 0, 8, 16, _LINE, 2 * _LINE, 3 * _LINE
_THREADS, _ITEMS, _PIECES, _FAILURES, _SHARES = 0, 8, 16, _LINE, 2 * _LINE
_CALL, _HELPER, _TAKEN = 0, 8, 16  # of a share, which is a line

NOTHING = 0  # a table that ends `serve`

# What came of a launch. SLEEPING: helpers must be woken, and the caller's own share is left to do. WORKING: helpers are
# still at it.
FINISHED, FAILED, SLEEPING, WORKING = range(4)


def mailbox(number: int) -> Array:
    """The mailbox of the helper of this number, from 1 on."""
    memory = aligned_bytes(_MAILBOX)
    memory.view(np.int64)[_NUMBER // 8] = number
    return memory


def table(items: int, pieces: int, calls: Sequence[int], helpers: Sequence[int]) -> Array:
    """The table of a launch. calls: addresses, the caller's first. helpers: addresses of their mailboxes."""
    memory = aligned_bytes(_SHARES + len(calls) * _LINE)
    numbers = memory.view(np.int64)
    numbers[_THREADS // 8], numbers[_ITEMS // 8], numbers[_PIECES // 8] = len(calls), items, pieces
    shares = numbers[_SHARES // 8 :].reshape(len(calls), _LINE // 8)
    shares[:, _CALL // 8], shares[1:, _HELPER // 8] = calls, helpers
    return memory


@kernel
def launch(table: int, looks: int) -> int:
    """Begin a launch, do the caller's share, and look so often whether the others' are done. Helpers must be idle."""
    store(table + _FAILURES, 0)
    for number in range(load(table + _THREADS)):
        store(_share(table, number) + _TAKEN, 0)
    asleep = 0
    for number in range(1, load(table + _THREADS)):
        helper = _helper(table, number)
        _give(helper, table)
        asleep += load(helper + _ASLEEP)
    return SLEEPING if asleep > 0 else _work(table, looks)


@kernel
def work(table: int, looks: int) -> int:
    """As `launch`, of one that is begun."""
    return _work(table, looks)


@kernel
def end(table: int) -> int:
    """What came of a launch whose items are all done."""
    return _end(table)


@inlined
def _work(table: int, looks: int) -> int:
    _take_pieces(table, 0)
    for number in range(1, load(table + _THREADS)):
        if not _is_done(_helper(table, number), looks):
            return WORKING
    return _end(table)


@inlined
def _end(table: int) -> int:
    return FAILED if load(table + _FAILURES) > 0 else FINISHED


@inlined
def _take_pieces(table: int, number: int) -> None:
    """Do pieces of a launch until all are taken: those of the thread's own share, then those of the next one's."""
    threads, pieces, items = load(table + _THREADS), load(table + _PIECES), load(table + _ITEMS)
    call = load(_share(table, number) + _CALL)
    for other in range(threads):
        whose = (number + other) % threads
        piece = take(_share(table, whose) + _TAKEN)
        while piece < pieces:
            place = whose * pieces + piece
            start, stop = items * place // (threads * pieces), items * (place + 1) // (threads * pieces)
            if start < stop and make(call, start, stop) != 0:
                take(table + _FAILURES)
            piece = take(_share(table, whose) + _TAKEN)


@inlined
def _share(table: int, number: int) -> int:
    return table + _SHARES + number * _LINE


@inlined
def _helper(table: int, number: int) -> int:
    return load(_share(table, number) + _HELPER)


def compile_for_helpers() -> None:
    """Compile what helpers call, in the caller's thread: an error would end a helper, and nobody would know."""
    found: list[tuple[Any, int]] = [(serve, 2), (falls_asleep, 1), (wakes_up, 1)]
    for each, arguments in found:
        each.compile((types.intp,) * arguments)


@kernel
def give(helper: int, table: int) -> None:
    """Put a launch into a helper's mailbox."""
    _give(helper, table)


@inlined
def _give(helper: int, table: int) -> None:
    store(helper + _TABLE, table)
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
    """Take part in launches that a helper is given, until it has looked so often in vain, or is given NOTHING."""
    left, done = looks, load(helper + _DONE)
    while left > 0:
        if load(helper + _GIVEN) == done:
            pause()
            left -= 1
            continue
        table = load(helper + _TABLE)
        if table == NOTHING:
            return
        _take_pieces(table, load(helper + _NUMBER))
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
