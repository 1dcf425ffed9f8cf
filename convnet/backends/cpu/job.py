"""What the threads of a team do in a launch: each calls a function on ranges of items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, Protocol

import numpy as np

from convnet.backends.cpu.calls import Call
from convnet.backends.cpu.memory import Array, Reservation


class Job(Protocol):
    """A call for each thread, at an address; what `make` in convnet.backends.cpu.calls takes."""

    name: str
    threads: int

    @property
    def addresses(self) -> Sequence[int]:
        """In the order of the threads; none before `refresh` is called."""

    def refresh(self) -> None:
        """Make the calls ready for a launch: the first time compiled, later with the arguments that changed."""


class Cases(NamedTuple):
    """Items that follow the cases of a minibatch: equally many for each, or one for `together` of them.

    An item reads and writes what belongs to its own cases, and besides only reads what no launch over these cases
    writes. Arrays that have cases have them first, and all other memory of a device is given as a Reservation.
    """

    number: int
    together: int = 1

    def fit(self, items: int) -> bool:
        """Whether there may be so many items."""
        each = self.number > 0 and self.together == 1 and items % self.number == 0
        return each or items == -(-self.number // self.together)


class KernelJob:
    """A kernel with the arguments that each thread passes after the first item and the one behind the last.

    One that is a function is called at each launch, and its result passed. shared: those that all threads are given.
    """

    def __init__(self, kernel: Any, arguments: Sequence[Sequence[Any]], shared: Sequence[Reservation] = ()) -> None:
        self.name, self.threads = kernel.__name__, len(arguments)
        self.calls: list[Call] = []  # none before `refresh` is called
        self._kernel, self._arguments, self._shared = kernel, arguments, shared
        self._late: list[tuple[Call, int, Callable[[], Any]]] = []

    def refresh(self) -> None:
        """As in Job."""
        if not self.calls:
            self._prepare()
            return
        for call, position, current in self._late:
            if (argument := current()) is not call.arguments[position]:
                call.replace(position, argument)

    def _prepare(self) -> None:
        calls, late = [], []
        for own in self._arguments:
            arguments = [0, 0, *own]
            calls.append(Call(self._kernel, [each() if callable(each) else each for each in arguments]))
            late += [(calls[-1], place, each) for place, each in enumerate(arguments) if callable(each)]
        self._late, self.calls = late, calls

    @property
    def addresses(self) -> Sequence[int]:
        """As in Job."""
        return [call.address for call in self.calls]

    def uses(self, array: Array) -> bool:
        """Whether its arguments include an array that may have a byte in common with this one."""
        arrays = _arrays(self._arguments[0])
        return any(not other.flags.c_contiguous or _overlap(array, other) for other in arrays)

    def independent(self, other: KernelJob) -> bool:
        """Whether no case has memory that another case has in the other job."""
        if any(one.meets(another) for one, another in product(self._shared, other._shared)):
            return False
        arrays = product(_arrays(self._arguments[0]), _arrays(other._arguments[0]))
        return all(_apart_or_same(one, another) for one, another in arrays)


def _arrays(arguments: Sequence[Any]) -> Iterator[Array]:
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from _arrays(argument)
        elif isinstance(argument, np.ndarray) and argument.size:
            yield argument


def _apart_or_same(one: Array, other: Array) -> bool:
    """Whether two arrays have no byte in common, or all; for arrays with gaps, which may be in each other, it is no."""
    if not (one.flags.c_contiguous and other.flags.c_contiguous):
        return False
    return not _overlap(one, other) or (one.ctypes.data, one.nbytes) == (other.ctypes.data, other.nbytes)


def _overlap(one: Array, other: Array) -> bool:
    """Whether two arrays without gaps have a byte in common."""
    begin, begin_other = one.ctypes.data, other.ctypes.data
    return begin < begin_other + other.nbytes and begin_other < begin + one.nbytes
