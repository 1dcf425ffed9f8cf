"""Sums over rows on the CPU, in an order that does not depend on the number of threads."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, Cases, CpuDevice, Launch, Reservation
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.launches import in_turn

COLUMNS = 1024  # a fixed block of columns, summed by one thread


def bprop(dev: CpuDevice, dy: Array, db: Array, *, accumulate: bool) -> Launch:
    """`db` (columns,) (+)= the sum over cases and positions of `dy` (cases, positions, columns)."""
    cases, positions, columns = dy.shape
    if db.shape != (columns,):
        raise ValueError(f"bias: gradients of shape {dy.shape} for a bias of shape {db.shape}")
    if positions == 1:
        return sum_rows(dev, dy.reshape(-1), cases, db, accumulate=accumulate)
    sums = dev.sums.reserve((cases * columns,), dy.dtype)
    of_cases = dev.parallel(_sum_cases, cases, dy.reshape(-1), positions, columns, sums, cases=Cases(cases))
    return in_turn([of_cases, sum_rows(dev, sums, cases, db, accumulate=accumulate)])


def sum_rows(dev: CpuDevice, a: Array | Reservation, rows: int, out: Array, *, accumulate: bool) -> Launch:
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
def _sum_cases(start: int, stop: int, a: Array, positions: int, columns: int, sums: Array) -> None:
    """Cases start..stop: each sums its positions into its row of `sums`."""
    for case in range(start, stop):
        sums[case * columns : (case + 1) * columns] = 0
        add_rows(a, case * positions * columns, columns, positions, sums, case * columns, columns)


@inlined
def add_rows(a: Array, at: int, step: int, rows: int, out: Array, first: int, width: int) -> None:
    """Add to out[first:first + width] the rows a[at + r * step:][:width], one after the other."""
    total = out[first : first + width]
    for row in range(rows):
        source = a[at + row * step : at + row * step + width]
        for column in range(width):
            total[column] += source[column]
