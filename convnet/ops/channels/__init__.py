"""Channels in another order, each one several times: what groups of filters with random sparse connectivity read.

    gather    y[r, j] = x[r, connections[j]]
    scatter   dx[r, c] (+)= sum over all j with connections[j] = c of dy[r, j], in the order of j

x, dx: (rows, channels). y, dy: (rows, len(connections)). Feature maps are given as (n*y*x, channel). connections: whole
numbers, in which each of 0 .. channels - 1 occurs equally often, at least once.

    gather(dev, x, y, *, connections)          scatter(dev, dy, dx, *, connections, accumulate)

`scatter` is the gradient of `gather`. The connections are read when an operation is prepared. Arrays that do not fit
raise ValueError.

Source: cuda-convnet, `randSparse`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def check_connections(few: Any, many: Any, connections: Array) -> Array:
    """Where each channel goes: (channels, times) int32, in ascending order.

    few, many: the arrays of any backend with the channels and with as many as there are connections.

    Raises:
        ValueError: unless arrays and connections fit together.
    """
    channels, times = few.shape[1], connections.size // few.shape[1]
    if many.shape != (few.shape[0], connections.size):
        raise ValueError(f"channels: {few.shape} and {many.shape} for {connections.size} connections")
    order = np.argsort(connections, kind="stable")
    if not times or not np.array_equal(connections[order], np.repeat(np.arange(channels), times)):
        raise ValueError(f"channels: expected connections with each of {channels} channels equally often")
    return order.reshape(channels, times).astype(np.int32)
