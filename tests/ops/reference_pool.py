"""Pooling and its gradients in float64, one window at a time, written from the definition."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convnet.ops.pool import PoolGeometry


def windows(g: PoolGeometry) -> Iterator[tuple[tuple[int, int], list[tuple[int, int]]]]:
    """Each output with the pixels in its window that are inside the image."""
    for oy, ox in np.ndindex(g.outputs_y, g.outputs_x):
        pixels = []
        for i, j in np.ndindex(g.size, g.size):
            y, x = g.start + oy * g.stride + i, g.start + ox * g.stride + j
            if 0 <= y < g.maps.y and 0 <= x < g.maps.x:
                pixels.append((y, x))
        yield (oy, ox), pixels


def fprop(kind: str, x: np.ndarray, g: PoolGeometry) -> np.ndarray:
    """Y for x (n, y, x, channel)."""
    cases, _, _, channels = x.shape
    y = np.zeros((cases, g.outputs_y, g.outputs_x, channels))
    for (oy, ox), pixels in windows(g):
        for case, channel in np.ndindex(cases, channels):
            values = [float(x[case, i, j, channel]) for i, j in pixels]
            if values:
                y[case, oy, ox, channel] = _taken(kind, values)
    return y


def _taken(kind: str, values: list[float]) -> float:
    """What is taken of a window."""
    if kind == "maxabs":
        return max(values, key=lambda value: (abs(value), value))
    return max(values) if kind == "max" else sum(values) / (len(values) if kind == "avg" else 1)


def bprop(kind: str, dy: np.ndarray, x: np.ndarray, g: PoolGeometry) -> np.ndarray:
    """The gradient with respect to x; every pixel equal to the maximum gets all of dy."""
    dx = np.zeros(x.shape)
    for (oy, ox), pixels in windows(g):
        for case, channel in np.ndindex(x.shape[0], x.shape[3]):
            values = [float(x[case, i, j, channel]) for i, j in pixels]
            for (i, j), value in zip(pixels, values, strict=True):
                share = 1 / len(pixels) if kind == "avg" else kind == "sum" or value == _taken(kind, values)
                dx[case, i, j, channel] += share * dy[case, oy, ox, channel]
    return dx
