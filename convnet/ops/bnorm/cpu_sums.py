"""Sums over rows: of a channel for its mean and variance, of its gradient. Arrays are (rows, channels).

The rows are summed in PARTS parts, which are then added in order: results do not depend on the number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import kernel

PARTS = 16
_COLUMNS = 64  # channels that one thread finishes


def blocks(channels: int) -> int:
    """The items of the functions `finish_...`."""
    return -(-channels // _COLUMNS)


@kernel
def moments(start: int, stop: int, x: Array, partial: Array) -> None:
    """Parts start..stop: the sums of d and of d^2 over their rows, d being the distance from the first row of all.

    That is one of the numbers themselves, so that R times their variance is at least its distance from their mean,
    squared: what cancels in the variance is at most R times as large, and float64 has room for that.
    """
    for part in range(start, stop):
        first, last = len(x) * part // PARTS, len(x) * (part + 1) // PARTS
        sums, squares = partial[part, 0], partial[part, 1]
        partial[part] = 0
        for row in range(first, last):
            for column in range(sums.size):
                distance = np.float64(x[row, column]) - np.float64(x[0, column])
                sums[column] += distance
                squares[column] += distance * distance


@kernel
def finish_moments(
    start: int, stop: int, x: Array, partial: Array, batch: Array, mean: Array, variance: Array, eps: float,
    momentum: float,
) -> None:  # fmt: skip
    """Blocks of channels start..stop: batch (2, channels) and the running statistics from the parts' sums."""
    rows = len(x)
    for column in range(start * _COLUMNS, min(stop * _COLUMNS, mean.size)):
        total = squares = 0.0
        for part in range(PARTS):
            total += partial[part, 0, column]
            squares += partial[part, 1, column]
        center = np.float64(x[0, column]) + total / rows
        spread = squares - total * (total / rows)
        spread = 0.0 if spread < 0 else spread  # written so that NaN stays NaN
        batch[0, column] = center
        batch[1, column] = 1 / math.sqrt(spread / rows + eps)
        mean[column] = momentum * mean[column] + (1 - momentum) * center
        variance[column] = momentum * variance[column] + (1 - momentum) * spread / max(1, rows - 1)


@kernel
def products(start: int, stop: int, dy: Array, x: Array, mean: Array, partial: Array) -> None:
    """Parts start..stop: the sums of dy and of dy * (x - mean) over their rows."""
    for part in range(start, stop):
        first, last = len(x) * part // PARTS, len(x) * (part + 1) // PARTS
        sums, pulls = partial[part, 0], partial[part, 1]
        partial[part] = 0
        for row in range(first, last):
            for column in range(sums.size):
                gradient = np.float64(dy[row, column])
                sums[column] += gradient
                pulls[column] += gradient * (np.float64(x[row, column]) - np.float64(mean[column]))


@kernel
def finish_products(
    start: int, stop: int, partial: Array, inverse: Array, sums: Array, dscale: Array, dshift: Array, accumulate: bool
) -> None:
    """Blocks of channels start..stop: sums (2, channels), dscale and dshift (if they are not empty) from the parts'."""
    for column in range(start * _COLUMNS, min(stop * _COLUMNS, inverse.size)):
        total = pull = 0.0
        for part in range(PARTS):
            total += partial[part, 0, column]
            pull += partial[part, 1, column]
        sums[0, column], sums[1, column] = total, pull * inverse[column]
        if dshift.size:
            dshift[column] = dshift[column] + sums[0, column] if accumulate else sums[0, column]
        if dscale.size:
            dscale[column] = dscale[column] + sums[1, column] if accumulate else sums[1, column]
