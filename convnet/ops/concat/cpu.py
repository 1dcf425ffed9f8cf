"""Concatenation on the CPU."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel


def fprop(dev: CpuDevice, x: Array, y: Array, *, offset: int) -> Launch:
    """y[:, offset : offset + c] = x."""
    _check(x, y, offset)
    return dev.parallel(_copy, len(x), x, 0, y, offset, x.shape[1], False)


def bprop(dev: CpuDevice, dy: Array, dx: Array, *, offset: int, accumulate: bool) -> Launch:
    """dx (+)= dy[:, offset : offset + c]."""
    _check(dx, dy, offset)
    return dev.parallel(_copy, len(dx), dy, offset, dx, 0, dx.shape[1], accumulate)


def _check(part: Array, whole: Array, offset: int) -> None:
    if len(part) != len(whole) or offset < 0 or offset + part.shape[1] > whole.shape[1]:
        raise ValueError(f"concat: {part.shape} at column {offset} does not fit into {whole.shape}")


@kernel
def _copy(
    start: int, stop: int, source: Array, source_offset: int, target: Array, target_offset: int, columns: int,
    accumulate: bool,
) -> None:  # fmt: skip
    """Items are rows: `columns` numbers of each, from one column of the source to another of the target."""
    for row in range(start, stop):
        values = source[row, source_offset : source_offset + columns]
        result = target[row, target_offset : target_offset + columns]
        for i in range(columns):
            result[i] = result[i] + values[i] if accumulate else values[i]
