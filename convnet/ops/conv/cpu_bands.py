"""How images are cut into bands of rows, one item of work each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from convnet.backends.cpu.device import Scratch

_ITEMS = 16  # wanted of a launch, so that threads get equal shares of a small minibatch
_CACHE = 1 << 19  # bytes of rows that an item reads over and over: half of a usual second-level cache


class Bands(NamedTuple):
    """The bands of an image, and the rows that a band reads.

    number: of bands. wide: whether rows are widened before, to `width` pixels, the first `left` of them zeros (if
    negative, so many are left out). rows: of a band, at most.
    """

    number: int
    wide: bool
    left: int
    width: int
    rows: int


def bands(cases: int, rows: int, read: Callable[[int], int], pixel: int, *, wide: bool, left: int, width: int) -> Bands:
    """Enough bands for all threads, each of which, if its rows are widened, reads no more than stays in the cache.

    rows: that an image's items make. read: how many rows it takes to make so many. pixel: its bytes.
    """
    fitting = max(1, -(-read(rows) * width * pixel // _CACHE)) if wide else 1
    count = min(rows, max(fitting, -(-_ITEMS // max(1, cases))))
    return Bands(count, wide, left, width, read(-(-rows // count)))


def room(b: Bands, channels: int, dtype: np.dtype[Any]) -> Scratch:
    """Room for the widened rows of a band."""
    return Scratch((b.rows * b.width * channels if b.wide else 0,), dtype)
