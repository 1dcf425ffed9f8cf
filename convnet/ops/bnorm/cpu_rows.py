"""What is done to every number: normalizing it, and its gradient. Items are blocks of rows (rows, channels)."""

from __future__ import annotations

import math

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import kernel
from convnet.ops.neuron.cpu import apply

_BLOCK = 4096  # numbers: they stay in the first cache from pass to pass


def cut(rows: int, channels: int) -> tuple[int, int]:
    """How many blocks there are, and the rows of each."""
    block = max(1, _BLOCK // channels)
    return -(-rows // block), block


@kernel
def invert(start: int, stop: int, variance: Array, inverse: Array, eps: float) -> None:
    """inverse = 1 / sqrt(variance + eps)."""
    for column in range(start, stop):
        inverse[column] = 1 / math.sqrt(variance[column] + eps)


@kernel
def normalize(
    start: int, stop: int, block: int, x: Array, y: Array, mean: Array, inverse: Array, scale: Array, shift: Array,
    code: int, a: float, b: float, factor: Array,
) -> None:  # fmt: skip
    """y (flat) = f((x - mean) * inverse * scale + shift)."""
    rows, channels = x.shape
    for column in range(channels):
        factor[column] = inverse[column] * scale[column]
    for item in range(start, stop):
        first, last = item * block, min(rows, (item + 1) * block)
        for row in range(first, last):
            source, target = x[row], y[row * channels : (row + 1) * channels]
            for column in range(channels):
                target[column] = (source[column] - mean[column]) * factor[column] + shift[column]
        apply(code, a, b, y, first * channels, last * channels)


@kernel
def bprop(
    start: int, stop: int, block: int, dy: Array, x: Array, dx: Array, scale: Array, batch: Array, sums: Array,
    accumulate: bool, room: Array,
) -> None:  # fmt: skip
    """dx (+)= scale * inverse * (dy - sum / R - h * pull / R)."""
    rows, channels = x.shape
    mean, inverse = batch
    factor, share, pull = room
    for column in range(channels):
        factor[column] = scale[column] * inverse[column]
        share[column] = sums[0, column] / rows
        pull[column] = sums[1, column] / rows * inverse[column]
    for row in range(start * block, min(rows, stop * block)):
        above, source, target = dy[row], x[row], dx[row]
        for column in range(channels):
            value = (above[column] - share[column] - (source[column] - mean[column]) * pull[column]) * factor[column]
            target[column] = target[column] + value if accumulate else value
