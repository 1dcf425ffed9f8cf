"""Channels in another order on the CPU. Items are rows."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.channels import check_connections


def gather(dev: CpuDevice, x: Array, y: Array, *, connections: Array) -> Launch:
    """y[:, j] = x[:, connections[j]]."""
    check_connections(x, y, connections)
    return dev.parallel(_gather, len(x), x, y, connections.astype(np.int32))


def scatter(dev: CpuDevice, dy: Array, dx: Array, *, connections: Array, accumulate: bool) -> Launch:
    """dx[:, c] (+)= the sum of all dy[:, j] with connections[j] = c."""
    return dev.parallel(_scatter, len(dx), dy, dx, check_connections(dx, dy, connections), accumulate)


@kernel
def _gather(start: int, stop: int, x: Array, y: Array, connections: Array) -> None:
    for row in range(start, stop):
        source, target = x[row], y[row]
        for j in range(connections.size):
            target[j] = source[connections[j]]


@kernel
def _scatter(start: int, stop: int, dy: Array, dx: Array, places: Array, accumulate: bool) -> None:
    """places: (channels, times), which numbers of a row of dy are added up for each channel."""
    for row in range(start, stop):
        source, target = dy[row], dx[row]
        for c in range(len(places)):
            total = source[places[c, 0]]
            for time in range(1, places.shape[1]):
                total += source[places[c, time]]
            target[c] = target[c] + total if accumulate else total
