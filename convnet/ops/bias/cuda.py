"""Sums over rows on a GPU, in an order that depends on the shape alone."""

from __future__ import annotations

from pathlib import Path

from convnet.backends.cuda.cublas import Operand
from convnet.backends.cuda.device import THREADS, CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import span
from convnet.backends.launches import in_turn

_SOURCE = Path(__file__).with_name("sum_rows.cu")

_ACROSS = 32  # threads that share the columns of a block
_BLOCKS = 512  # are aimed at: enough to fill any card
_PARTS = 256  # at most: one block for each few columns adds them up
_LEAST = 4  # rows for each thread that make a part worth while
_FLOATS = 4  # in 16 bytes


def bprop(dev: CudaDevice, dy: GPUArray, db: GPUArray, *, accumulate: bool) -> Launch:
    """`db` (columns,) (+)= the sum over cases and positions of `dy` (cases, positions, columns)."""
    cases, positions, columns = dy.shape
    rows = cases * positions
    if db.shape != (columns,):
        raise ValueError(f"bias: gradients of shape {dy.shape} for a bias of shape {db.shape}")
    size = span(dev, columns)
    parts = parts_of(rows, columns // size)
    if parts == 1:
        return _sum(dev, dy, (rows, columns), db, 1, size, dev.act, accumulate=accumulate)
    partial, floats = dev.workspace.reserve((parts, columns)), 1 if columns % _FLOATS else _FLOATS
    first = _sum(dev, dy, (rows, columns), partial, parts, size, dev.act, accumulate=False)
    second = _sum(dev, partial, (parts, columns), db, 1, floats, {"ACT_BF16": 0}, accumulate=accumulate)
    return in_turn([first, second])


def parts_of(rows: int, spans: int) -> int:
    """Into how many parts rows of so many spans are cut; each is summed by blocks of its own."""
    width = min(spans, _ACROSS)
    return max(1, min(_BLOCKS // -(-spans // width), _PARTS, rows // (THREADS // width * _LEAST)))


def spans_and_lanes(spans: int, parts: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Grid (spans, parts) and block (spans, lanes) of threads that sum rows of so many spans, cut into parts."""
    width = min(spans, _ACROSS)
    return (-(-spans // width), parts), (width, THREADS // width)


def _sum(
    dev: CudaDevice, source: Operand, shape: tuple[int, int], out: Operand, parts: int, size: int,
    types: dict[str, int], *, accumulate: bool,
) -> Launch:  # fmt: skip
    """Row p of `out` (parts, columns) (+)= the sum of part p of the rows of `source` (rows, columns)."""
    rows, columns = shape
    kernel = dev.kernel(_SOURCE, "sum_packs" if size > 1 else "sum_singles", **types)
    return dev.call(kernel, *spans_and_lanes(columns // size, parts), source, out, rows, columns, int(accumulate))
