"""Products of a few windows with the filters of one group, cut into pieces that BLAS multiplies fastest.

On processors with AVX-512, OpenBLAS multiplies without packing its operands first where a product has at most a
million multiply-adds: 105 to 116 GFLOP/s a core, of 120 possible, where large products with as few as 32 filters reach
70 to 95. So products are made for BLOCK windows at a time, while these are in the cache, and cut along the rows of the
filters. Where BLAS always packs (AVX2), products that small are a tenth to a quarter slower than large ones.
"""

from __future__ import annotations

from convnet.backends.cpu.blas import gemm
from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import kernel

BLOCK = 64

_MULTIPLY_ADDS = 10**6


@kernel
def piece(width: int) -> int:
    """Rows of `width` filters that are multiplied at once with a block of windows: whole vectors of 16."""
    return max(16, _MULTIPLY_ADDS // (width * BLOCK) // 16 * 16)


@kernel
def windows_by_filters(
    patches: Array, step: int, count: int, rows: int, w: Array, filters: int, width: int, accumulate: bool, y: Array,
    y_step: int,
) -> None:  # fmt: skip
    """`y` (count, width) (+)= patches (count, rows) w (rows, width); `filters`, `y_step`: from row to row of w, y."""
    cut = piece(width)
    for row in range(0, rows, cut):
        beta = 1.0 if accumulate or row > 0 else 0.0
        gemm(False, False, count, width, min(cut, rows - row), patches[row:], step, w[row * filters :], filters, beta,
             y, y_step)  # fmt: skip


@kernel
def gradients_by_filters(
    dy: Array, dy_step: int, count: int, w: Array, width: int, rows: int, patches: Array, step: int
) -> None:
    """`patches` (count, rows) = dy (count, width) w, with w (width, rows) transposed filters."""
    cut = piece(width)
    for row in range(0, rows, cut):
        gemm(False, False, count, min(cut, rows - row), width, dy, dy_step, w[row:], rows, 0.0, patches[row:], step)


@kernel
def windows_by_gradients(
    patches: Array, step: int, count: int, rows: int, dy: Array, dy_step: int, width: int, accumulate: bool, dw: Array,
    filters: int,
) -> None:  # fmt: skip
    """`dw` (rows, width) (+)= patches (count, rows)' dy (count, width); `filters`: from row to row of dw."""
    cut = piece(width)
    for row in range(0, rows, cut):
        gemm(True, False, min(cut, rows - row), width, count, patches[row:], step, dy, dy_step,
             1.0 if accumulate else 0.0, dw[row * filters :], filters)  # fmt: skip


@kernel
def transpose(start: int, stop: int, w: Array, rows: int, filters: int, transposed: Array) -> None:
    """Matrices start..stop of w (rows, filters), as (filters, rows): BLAS is half as fast if it has to."""
    for first in range(start * rows * filters, stop * rows * filters, rows * filters):
        for f in range(filters):
            for row in range(rows):
                transposed[first + f * rows + row] = w[first + row * filters + f]
