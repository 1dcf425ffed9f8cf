"""Launches made of others, on any backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Launch = Callable[[], None]


class Passing(NamedTuple):
    """An array with cases first that nobody needs beyond some launches, the first of which writes all of it.

    users: the numbers of those that use it.
    """

    array: Any
    users: frozenset[int]


class InTurn:
    """Several launches, one after the other."""

    def __init__(self, launches: Sequence[Launch]) -> None:
        self.launches = launches

    def __call__(self) -> None:
        """Make them."""
        for each in self.launches:
            each()


def in_turn(launches: Sequence[Launch]) -> Launch:
    """One launch of several, one after the other."""
    return launches[0] if len(launches) == 1 else InTurn(launches)
