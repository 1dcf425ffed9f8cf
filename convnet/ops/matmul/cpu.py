"""Matrix products on the CPU: the result is cut into tiles, each a product by BLAS on one thread.

Where the cuts are depends on the shapes alone, so the number of threads does not change the result.
"""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.blas import gemm
from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import kernel
from convnet.ops.neuron import IDENT, NeuronFunction
from convnet.ops.neuron.cpu import apply

# Measured with 32 and 128 cases: tiles 300 to 2000 wide run at the full speed of one-thread BLAS, and those of 2^20
# multiply-adds, some 20 microseconds, nearly so.
_WIDE = 512
_PIECES = 8
_LEAST_WORK = 2**20


def fprop(
    dev: CpuDevice, x: Array, w: Array, bias: Array | None, y: Array, *, accumulate: bool, neuron: NeuronFunction | None
) -> Launch:
    """`y` = f(x w [+ y] [+ bias])."""
    n, i, o = _sizes(x, w, y)
    if bias is not None and bias.shape != (o,):
        raise ValueError(f"matmul: bias of shape {bias.shape} for {o} outputs")
    f = neuron or IDENT
    return _launch(dev, (False, False), (n, o, i), x, w, y, accumulate, bias, f)


def bprop_acts(dev: CpuDevice, dy: Array, w: Array, dx: Array, *, accumulate: bool) -> Launch:
    """`dx` (+)= dy w'."""
    n, i, o = _sizes(dx, w, dy)
    return _launch(dev, (False, True), (n, i, o), dy, w, dx, accumulate, None, IDENT)


def bprop_weights(dev: CpuDevice, x: Array, dy: Array, dw: Array, *, accumulate: bool) -> Launch:
    """`dw` (+)= x' dy."""
    n, i, o = _sizes(x, dw, dy)
    return _launch(dev, (True, False), (i, o, n), x, dy, dw, accumulate, None, IDENT)


def _sizes(x: Array, w: Array, y: Array) -> tuple[int, int, int]:
    """n, i, o. Raises ValueError unless the shapes fit together."""
    (n, i), o = x.shape, y.shape[1]
    if w.shape != (i, o) or y.shape != (n, o):
        raise ValueError(f"matmul: x {x.shape}, w {w.shape}, y {y.shape} do not fit together")
    return n, i, o


def _launch(
    dev: CpuDevice, transposed: tuple[bool, bool], sizes: tuple[int, int, int], a: Array, b: Array, c: Array,
    accumulate: bool, bias: Array | None, f: NeuronFunction,
) -> Launch:  # fmt: skip
    """`c` (m, n) = op(a) op(b), cut into tiles along its longer side."""
    m, n, k = sizes
    rows, columns = (tile(m, n * k), n) if m >= n else (m, tile(n, m * k))
    real = c.dtype.type
    return dev.parallel(
        _tiles, -(-m // rows) * -(-n // columns), *transposed, m, n, k, a.reshape(-1), a.shape[1], b.reshape(-1),
        b.shape[1], c.reshape(-1), rows, columns, float(accumulate), np.empty(0, c.dtype) if bias is None else bias,
        f.code, real(f.a), real(f.b),
    )  # fmt: skip


def tile(length: int, work: int) -> int:
    """The size of the tiles into which a side of `length` is cut; `work`: multiply-adds for each element of the side.

    A multiple of 16, so that every tile but the last is made of whole vectors.
    """
    pieces = min(max(_PIECES, length // _WIDE), length * work // _LEAST_WORK)
    return -(-length // (16 * max(1, pieces))) * 16


@kernel
def _tiles(
    start: int, stop: int, ta: bool, tb: bool, m: int, n: int, k: int, a: Array, lda: int, b: Array, ldb: int, c: Array,
    rows: int, columns: int, beta: float, bias: Array, code: int, fa: float, fb: float,
) -> None:  # fmt: skip
    """Tiles start..stop of c = f(op(a) op(b) + beta c + bias)."""
    across = -(-n // columns)
    for item in range(start, stop):
        i, j = item // across * rows, item % across * columns
        height, width = min(rows, m - i), min(columns, n - j)
        left, right = a[i if ta else i * lda :], b[j * ldb if tb else j :]
        gemm(ta, tb, height, width, k, left, lda, right, ldb, beta, c[i * n + j :], n)
        for row in range(i, i + height):
            first = row * n + j
            if bias.size:
                for column in range(width):
                    c[first + column] += bias[j + column]
            apply(code, fa, fb, c, first, first + width)
