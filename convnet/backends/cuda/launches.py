"""Launches made of others."""

from __future__ import annotations

from collections.abc import Sequence

from convnet.backends.cuda.kernels import Launch


def in_turn(launches: Sequence[Launch]) -> Launch:
    """One launch of several, one after the other."""

    def launch() -> None:
        for each in launches:
            each()

    return launch
