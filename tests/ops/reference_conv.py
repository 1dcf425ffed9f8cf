"""Convolution and its gradients in float64, tap by tap, for filters shared by all modules or of each module's own.

Written from the definition: every pair of a module and a tap of its filter that meets the image is visited once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from convnet.ops.conv import ConvGeometry


class Tap(NamedTuple):
    """One place of the filter over one pixel: what is multiplied with what, for one group."""

    module: tuple[int, int]
    pixel: tuple[int, int]
    channels: slice
    rows: slice
    filters: slice


def taps(g: ConvGeometry, own_filters: bool) -> Iterator[Tap]:
    """All taps that meet the image; rows in the memory order: (module, if it has its own filters, y, x, channel)."""
    depth, width = g.maps.channels // g.groups, g.filters // g.groups
    for module in np.ndindex(g.modules_y, g.modules_x):
        for i, j in np.ndindex(g.filter_size, g.filter_size):
            y, x = module[0] * g.stride - g.padding + i, module[1] * g.stride - g.padding + j
            if not (0 <= y < g.maps.y and 0 <= x < g.maps.x):
                continue
            number = module[0] * g.modules_x + module[1] if own_filters else 0
            row = ((number * g.filter_size + i) * g.filter_size + j) * depth
            for group in range(g.groups):
                yield Tap(module, (y, x), slice(group * depth, (group + 1) * depth), slice(row, row + depth),
                          slice(group * width, (group + 1) * width))  # fmt: skip


def fprop(x: np.ndarray, w: np.ndarray, g: ConvGeometry, *, own_filters: bool = False) -> np.ndarray:
    """y (n, modules_y, modules_x, filters)."""
    y = np.zeros((len(x), g.modules_y, g.modules_x, g.filters))
    for t in taps(g, own_filters):
        y[:, *t.module, t.filters] += product(x[:, *t.pixel, t.channels], w[t.rows, t.filters])
    return y


def bprop_acts(dy: np.ndarray, w: np.ndarray, g: ConvGeometry, *, own_filters: bool = False) -> np.ndarray:
    """dx (n, y, x, channels)."""
    dx = np.zeros((len(dy), g.maps.y, g.maps.x, g.maps.channels))
    for t in taps(g, own_filters):
        dx[:, *t.pixel, t.channels] += product(dy[:, *t.module, t.filters], w[t.rows, t.filters].T)
    return dx


def bprop_weights(x: np.ndarray, dy: np.ndarray, g: ConvGeometry, *, own_filters: bool = False) -> np.ndarray:
    """dw (rows of all filters, filters)."""
    modules = g.modules_y * g.modules_x if own_filters else 1
    dw = np.zeros((modules * g.filter_size**2 * (g.maps.channels // g.groups), g.filters))
    for t in taps(g, own_filters):
        dw[t.rows, t.filters] += product(x[:, *t.pixel, t.channels].T, dy[:, *t.module, t.filters])
    return dw


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a b in float64 without BLAS."""
    return np.einsum("ij,jk->ik", a.astype(np.float64), b.astype(np.float64), optimize=False)
