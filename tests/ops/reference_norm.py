"""The three response normalizations and their gradients in float64, one output at a time.

Written from the definition. The gradients go the other way round than in the library: each output adds what it owes to
all the inputs in its window.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convnet.ops.rnorm import Normalization

Index = tuple[int, int, int, int]


def near(centre: int, length: int, size: int) -> range:
    """The places of a window of `size` around `centre`, clipped to 0..length."""
    begin = centre - size // 2
    return range(max(0, begin), min(length, begin + size))


def window(operation: str, shape: tuple[int, ...], centre: Index, norm: Normalization) -> Iterator[Index]:
    """The window of one element of an array (n, y, x, channel)."""
    case, row, column, channel = centre
    if operation == "cmrnorm":
        block = channel // norm.size * norm.size
        blocked = range(block, min(block + norm.size, shape[3]))
        for other in blocked if norm.blocked else near(channel, shape[3], norm.size):
            yield case, row, column, other
        return
    for i in near(row, shape[1], norm.size):
        for j in near(column, shape[2], norm.size):
            yield case, i, j, channel


def summed(operation: str, x: np.ndarray, norm: Normalization) -> np.ndarray:
    """The numbers whose squares are summed: x itself, or for cnorm x without its local mean."""
    if operation != "cnorm":
        return x
    m = np.empty_like(x)
    for i in np.ndindex(*x.shape):
        m[i] = x[i] - np.mean([x[j] for j in window(operation, x.shape, i, norm)])
    return m


def fprop(operation: str, x: np.ndarray, norm: Normalization) -> np.ndarray:
    """Y for x (n, y, x, channel)."""
    x = x.astype(np.float64)
    v, y = summed(operation, x, norm), np.empty_like(x)
    for i in np.ndindex(*x.shape):
        d = norm.min_div + norm.alpha * sum(v[j] ** 2 for j in window(operation, x.shape, i, norm))
        y[i] = x[i] / d**norm.power
    return y


def bprop(operation: str, dy: np.ndarray, x: np.ndarray, norm: Normalization) -> np.ndarray:
    """The gradient of sum(dy * y) with respect to x."""
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    v, dv, dx = summed(operation, x, norm), np.zeros_like(x), np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        neighbours = list(window(operation, x.shape, i, norm))
        d = norm.min_div + norm.alpha * sum(v[j] ** 2 for j in neighbours)
        dx[i] += dy[i] / d**norm.power
        dd = dy[i] * x[i] * -norm.power / d ** (norm.power + 1)
        for j in neighbours:
            dv[j] += dd * norm.alpha * 2 * v[j]
    dx += dv
    if operation == "cnorm":
        for j in np.ndindex(*x.shape):
            neighbours = list(window(operation, x.shape, j, norm))
            for i in neighbours:
                dx[i] -= dv[j] / len(neighbours)
    return dx
