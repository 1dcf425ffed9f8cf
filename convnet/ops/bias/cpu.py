"""Sums over rows on the CPU, in an order that does not depend on the number of threads."""

from __future__ import annotations

from collections.abc import Callable

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.launches import in_turn

COLUMNS = 1024  # a fixed block of columns, summed by one thread

_PARTS = 16
_LONG = 512  # more rows than this are first summed in parts


def bprop(dev: CpuDevice, dy: Array, db: Array, *, accumulate: bool) -> Launch:
    """`db` (columns,) (+)= the sum over rows of `dy` (rows, columns)."""
    rows, columns = dy.shape
    if db.shape != (columns,):
        raise ValueError(f"bias: gradients of shape {dy.shape} for a bias of shape {db.shape}")
    if rows <= _LONG:
        return sum_rows(dev, dy.reshape(-1), rows, db, accumulate=accumulate)
    partial = dev.workspace.reserve((_PARTS * columns,), dy.dtype)
    parts = dev.parallel(_sum_parts, _PARTS, dy.reshape(-1), rows, columns, partial)
    return in_turn([parts, sum_rows(dev, partial, _PARTS, db, accumulate=accumulate)])


def sum_rows(dev: CpuDevice, a: Array | Callable[[], Array], rows: int, out: Array, *, accumulate: bool) -> Launch:
    """`out` (columns,) (+)= the sum over rows of the flat `a`, an array or workspace, from first to last."""
    return dev.parallel(_sum_rows, -(-out.size // COLUMNS), a, rows, out, accumulate)


@kernel
def _sum_rows(start: int, stop: int, a: Array, rows: int, out: Array, accumulate: bool) -> None:
    """Blocks of columns start..stop of out (+)= sum of rows."""
    for block in range(start, stop):
        first = block * COLUMNS
        width = min(COLUMNS, out.size - first)
        if not accumulate:
            out[first : first + width] = 0
        add_rows(a, first, out.size, rows, out, first, width)


@kernel
def _sum_parts(start: int, stop: int, a: Array, rows: int, columns: int, partial: Array) -> None:
    """Parts start..stop: each sums its share of the rows into its row of `partial`."""
    for part in range(start, stop):
        first, last = rows * part // _PARTS, rows * (part + 1) // _PARTS
        partial[part * columns : (part + 1) * columns] = 0
        add_rows(a, first * columns, columns, last - first, partial, part * columns, columns)


@inlined
def add_rows(a: Array, at: int, step: int, rows: int, out: Array, first: int, width: int) -> None:
    """Add to out[first:first + width] the rows a[at + r * step:][:width], one after the other."""
    total = out[first : first + width]
    for row in range(rows):
        source = a[at + row * step : at + row * step + width]
        for column in range(width):
            total[column] += source[column]
