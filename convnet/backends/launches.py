"""Launches made of others, on any backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Launch = Callable[[], None]


def in_turn(launches: Sequence[Launch]) -> Launch:
    """One launch of several, one after the other."""

    def launch() -> None:
        for each in launches:
            each()

    return launch
