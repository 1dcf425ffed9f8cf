"""Rows of maps with zeros at both ends, so that windows which reach over the edge need no care."""

from __future__ import annotations

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import inlined
from convnet.ops.conv.cpu_windows import copy


@inlined
def widen(x: Array, at: int, rows: int, width: int, channels: int, left: int, wide_width: int, wide: Array) -> None:
    """Copy `rows` rows of `width` pixels, which begin at x[at], to rows of `wide_width` pixels.

    `left`: zero pixels before the first of a row; negative: pixels of a row that are left out.
    """
    begin, skipped = max(0, left), max(0, -left)
    count = max(0, min(width - skipped, wide_width - begin))
    for row in range(rows):
        to, source = row * wide_width * channels, at + (row * width + skipped) * channels
        wide[to : to + begin * channels] = 0
        copy(wide, to + begin * channels, x, source, count * channels)
        wide[to + (begin + count) * channels : to + wide_width * channels] = 0
