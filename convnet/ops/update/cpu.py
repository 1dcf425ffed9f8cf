"""The step of learning on the CPU, in parallel over blocks of fixed size."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import kernel
from convnet.ops.update import check_momentum, cut

_BLOCK = 8192  # weights
_COLUMNS = 128  # of wball: what is summed at a time, a few cache lines of each row


def momentum(
    dev: CpuDevice, w: Array, inc: Array, g: Array, *, offsets: Array, rates: Array, operands: Array | None = None
) -> Launch:
    """inc = mom * inc - eps * g / N - eps * wc * w; w += inc. w, inc, g: 1-D, of one length.

    offsets: (s, 2) int64, the bounds of the segments. rates: (s, 4) float64, read at each launch: eps, mom, wc, 1/N.
    """
    _check_no_operands(operands)
    check_momentum(w, inc, g, offsets, rates)
    blocks = cut(offsets, _BLOCK)
    return dev.parallel(_momentum, len(blocks), w, inc, g, blocks, rates)


def wball(
    dev: CpuDevice, w: Array, *, limit: float, exact: bool, modules: int = 1, operands: Array | None = None
) -> Launch:
    """Rescale columns of w (rows, columns) to the norm `limit`: all if `exact`, else those that are longer."""
    _check_no_operands(operands)
    parts = w.reshape(modules, -1, w.shape[1], copy=False)
    blocks = -(-w.shape[1] // _COLUMNS)
    return dev.parallel(_wball, modules * blocks, parts, blocks, limit, exact, Scratch((_COLUMNS,), np.float64))


def _check_no_operands(operands: Array | None) -> None:
    if operands is not None:
        raise ValueError("update: the CPU computes with the weights themselves, not with rounded ones")


@kernel
def _momentum(start: int, stop: int, w: Array, inc: Array, g: Array, blocks: Array, rates: Array) -> None:
    for item in range(start, stop):
        segment, first, last = blocks[item]
        eps, mom, wc, share = rates[segment]
        if eps == 0:
            continue
        keep, step, decay = w.dtype.type(mom), w.dtype.type(eps * share), w.dtype.type(eps * wc)
        for i in range(first, last):
            inc[i] = keep * inc[i] - step * g[i] - decay * w[i]
            w[i] += inc[i]


@kernel
def _find_factors(part: Array, first: int, factors: Array, limit: float, exact: bool) -> bool:
    """Set `factors` to what the columns first.. of `part` are to be multiplied by; whether any is not 1."""
    factors[:] = 0.0
    for row in range(part.shape[0]):
        for j in range(factors.size):
            value = np.float64(part[row, first + j])
            factors[j] += value * value
    found = False
    for j in range(factors.size):
        norm = np.sqrt(factors[j])
        rescale = norm > limit or (exact and norm > 0)
        factors[j] = limit / norm if rescale else 1.0
        found |= rescale
    return found


@kernel
def _wball(start: int, stop: int, parts: Array, blocks: int, limit: float, exact: bool, memory: Array) -> None:
    rows, columns = parts.shape[1:]
    for item in range(start, stop):
        part, first = parts[item // blocks], item % blocks * _COLUMNS
        factors = memory[: min(_COLUMNS, columns - first)]
        if not _find_factors(part, first, factors, limit, exact):
            continue
        for row in range(rows):
            for j in range(factors.size):
                part[row, first + j] *= factors[j]
