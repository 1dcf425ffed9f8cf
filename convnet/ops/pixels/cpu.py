"""Stored images on the CPU. Items are rows of the images."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import kernel
from convnet.ops.pixels import check_normalize


def normalize(dev: CpuDevice, values: Array, mean: Array, shifts: Array, y: Array) -> Launch:
    """y = values - mean + shifts."""
    check_normalize(values, mean, shifts, y)
    cases, height, width, channels = values.shape
    rows, columns = cases * height, width * channels
    return dev.parallel(
        _normalize, rows, values.reshape(rows, columns, copy=False), mean.reshape(height, columns, copy=False), shifts,
        y.reshape(rows, columns, copy=False), Scratch((columns,), shifts.dtype),
    )  # fmt: skip


@kernel
def _normalize(start: int, stop: int, values: Array, mean: Array, shifts: Array, y: Array, spread: Array) -> None:
    """spread: room for the shifts of a case, for each column of a row.

    In two loops: in one, the compiler might add in another order, for other bits. The row is still in the cache.
    """
    height, columns = mean.shape
    kind = mean.dtype.type
    for row in range(start, stop):
        case, line = divmod(row, height)
        if line == 0 or row == start:
            for i in range(columns):
                spread[i] = shifts[case, i % shifts.shape[1]]
        for i in range(columns):
            y[row, i] = kind(values[row, i]) - mean[line, i]
        for i in range(columns):
            y[row, i] += spread[i]
