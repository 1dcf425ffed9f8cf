"""Windows of maps laid out as rows of a matrix ("im2col"), and rows added back onto maps ("col2im")."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.backends.cpu.device import Array, Scratch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.ops.conv.cpu_windows import Windows, add, copy


def step_of(rows: int) -> int:
    """Numbers from window to window: an odd number of cache lines, lest all windows meet in few sets of the cache."""
    return (rows + 15) // 16 // 2 * 32 + 16


window_step = inlined(step_of)  # for use inside kernels


def room(g: Windows, count: int, dtype: np.dtype[Any]) -> Scratch:
    """Room for `count` windows, what `gather` fills and `scatter` reads."""
    return Scratch((count * step_of(g.rows),), dtype)


@inlined
def corner(position: int, g: Windows) -> tuple[int, int, int]:
    """Case, top and left of a position's window; top and left may lie outside the image."""
    rest, module_x = divmod(position, g.modules_x)
    case, module_y = divmod(rest, g.modules_y)
    return case, module_y * g.stride - g.padding, module_x * g.stride - g.padding


@inlined
def inside(left: int, g: Windows) -> tuple[int, int]:
    """Pixels first..last of each row of a window that begins at `left` lie inside the image."""
    first = min(g.size, max(0, -left))
    return first, max(first, min(g.size, g.width - left))


@kernel
def gather(x: Array, g: Windows, first_channel: int, start: int, every: int, count: int, patches: Array) -> None:
    """patches[i] = the window of position start + i * every, for i below count; zeros outside the image."""
    channels = g.filter_channels
    run = g.size * channels
    for i in range(count):
        case, top, left = corner(start + i * every, g)
        first, last = inside(left, g)
        for j in range(g.size):
            to = i * window_step(g.rows) + j * run
            if not 0 <= top + j < g.height:
                patches[to : to + run] = 0
                continue
            pixel = (case * g.height + top + j) * g.width + left
            if first > 0:
                patches[to : to + first * channels] = 0
            if channels == g.channels:
                copy(patches, to + first * channels, x, (pixel + first) * channels, (last - first) * channels)
            else:
                for k in range(first, last):
                    copy(patches, to + k * channels, x, (pixel + k) * g.channels + first_channel, channels)
            if last < g.size:
                patches[to + last * channels : to + run] = 0


@kernel
def scatter(patches: Array, g: Windows, first_channel: int, start: int, every: int, count: int, x: Array) -> None:
    """`x` += the windows of the positions start + i * every, the reverse of `gather`."""
    channels = g.filter_channels
    run = g.size * channels
    for i in range(count):
        case, top, left = corner(start + i * every, g)
        first, last = inside(left, g)
        for j in range(max(0, -top), min(g.size, g.height - top)):
            at = i * window_step(g.rows) + j * run
            pixel = (case * g.height + top + j) * g.width + left
            if channels == g.channels:
                add(x, (pixel + first) * channels, patches, at + first * channels, (last - first) * channels)
            else:
                for k in range(first, last):
                    add(x, (pixel + k) * g.channels + first_channel, patches, at + k * channels, channels)
