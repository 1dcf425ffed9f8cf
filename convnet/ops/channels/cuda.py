"""Channels in another order on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.ops.channels import check_connections

Array = np.ndarray[Any, Any]

_SOURCE = Path(__file__).with_name("channels.cu")


def gather(dev: CudaDevice, x: GPUArray, y: GPUArray, *, connections: Array) -> Launch:
    """y[:, j] = x[:, connections[j]]."""
    check_connections(x, y, connections)
    return _launch(dev, x, connections.reshape(-1, 1).astype(np.int32), y, accumulate=False)


def scatter(dev: CudaDevice, dy: GPUArray, dx: GPUArray, *, connections: Array, accumulate: bool) -> Launch:
    """dx[:, c] (+)= the sum of all dy[:, j] with connections[j] = c."""
    return _launch(dev, dy, check_connections(dx, dy, connections), dx, accumulate=accumulate)


def _launch(dev: CudaDevice, source: GPUArray, places: Array, target: GPUArray, *, accumulate: bool) -> Launch:
    """Each column of `target` (+)= the sum of the columns of `source` in its row of `places`."""
    (rows, columns), times = target.shape, places.shape[1]
    size = span(dev, columns)
    kernel = dev.kernel(_SOURCE, "sum_columns", **dev.act, SPAN=size)
    # A thread reads its places one after the other, from as many tables.
    table = dev.table(np.ascontiguousarray(places.T))
    return dev.call(
        kernel, *rows_and_columns(rows, columns // size), source, source.shape[1], table, times, target, rows, columns,
        int(accumulate),
    )  # fmt: skip
