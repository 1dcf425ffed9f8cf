"""Grids of threads for arrays of rows and columns; <convnet/grid.cuh> is the kernels' side of it."""

from __future__ import annotations

from convnet.backends.cuda.device import THREADS, CudaDevice

_BLOCKS = 1 << 13  # more do not fill a card better; threads take several rows then
_WARP = 32


def rows_and_columns(rows: int, columns: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Grid and block of threads for each column (a span of numbers) and each row, or every so many rows.

    A block is as wide as the columns, or an even part of them, so that its threads follow each other in memory.
    """
    across = -(-columns // THREADS)
    width = -(-columns // across)
    height = min(rows, THREADS // width)
    return (across, min(-(-rows // height), max(1, _BLOCKS // across))), (width, height)


def span(dev: CudaDevice, *sizes: int) -> int:
    """How many activations a thread takes at once: 16 bytes of them if all sizes are multiples of that, otherwise 1."""
    pack = 16 // dev.activations.itemsize
    return 1 if any(size % pack for size in sizes) else pack


def block_per_row(rows: int, columns: int) -> tuple[tuple[int], tuple[int]]:
    """Grid and block of one block for each row, with whole warps: as many as have columns, up to a full block."""
    return (rows,), (min(THREADS, -(-columns // _WARP) * _WARP),)
