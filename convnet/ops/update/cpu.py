"""The step of learning on the CPU, in parallel over blocks of fixed size."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.ops.update import check_bounds, check_momentum, cut

_BLOCK = 8192  # weights
_COLUMNS = 128  # of wball and wcnorm: what is summed at a time, a few cache lines of each row


def momentum(
    dev: CpuDevice, w: Array, inc: Array, g: Array, *, offsets: Array, rates: Array, operands: Array | None = None
) -> Launch:
    """inc = mom * inc - eps * g / N - eps * wc * w; w += inc; or Nesterov's momentum. w, inc, g: 1-D, of one length.

    offsets: (s, 2) int64, the bounds of the segments. rates: (s, 5) float64, read at each launch: eps, mom, wc, 1/N,
    and whether it is Nesterov's.
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
    return _bounded(dev, w.reshape(modules, -1, w.shape[1], copy=False), limit if exact else 0.0, limit, centred=False)


def wcnorm(dev: CpuDevice, w: Array, *, low: float, high: float, operands: Array | None = None) -> Launch:
    """Rescale columns of w (rows, columns) so that |column - its mean| / rows lies in low..high."""
    _check_no_operands(operands)
    check_bounds(low, high)
    return _bounded(dev, w.reshape(1, *w.shape), low * len(w), high * len(w), centred=True)


def _bounded(dev: CpuDevice, parts: Array, low: float, high: float, *, centred: bool) -> Launch:
    """Bring the norms of columns of each part, `centred` less their means, into low..high."""
    modules, _, columns = parts.shape
    blocks = -(-columns // _COLUMNS)
    memory = Scratch((2, _COLUMNS), np.float64)
    return dev.parallel(_bound, modules * blocks, parts, blocks, float(low), float(high), centred, memory)


def _check_no_operands(operands: Array | None) -> None:
    if operands is not None:
        raise ValueError("update: the CPU computes with the weights themselves, not with rounded ones")


@kernel
def _momentum(start: int, stop: int, w: Array, inc: Array, g: Array, blocks: Array, rates: Array) -> None:
    for item in range(start, stop):
        segment, first, last = blocks[item]
        eps, mom, wc, share, nesterov = rates[segment]
        if eps == 0:
            continue
        keep, step, decay = w.dtype.type(mom), w.dtype.type(eps * share), w.dtype.type(eps * wc)
        own = slice(first, last)
        if nesterov:
            _look_ahead(w[own], inc[own], g[own], keep, step, decay)
        else:
            _move(w[own], inc[own], g[own], keep, step, decay)


@inlined
def _move(w: Array, inc: Array, g: Array, keep: float, step: float, decay: float) -> None:
    for i in range(w.size):
        inc[i] = keep * inc[i] - step * g[i] - decay * w[i]
        w[i] += inc[i]


@inlined
def _look_ahead(w: Array, inc: Array, g: Array, keep: float, step: float, decay: float) -> None:
    for i in range(w.size):
        change = -step * g[i] - decay * w[i]
        inc[i] = keep * inc[i] + change
        w[i] += keep * inc[i] + change


@inlined
def _find_means(part: Array, first: int, means: Array) -> None:
    """Set `means` to those of the columns first.. of `part`."""
    means[:] = 0.0
    for row in range(part.shape[0]):
        for j in range(means.size):
            means[j] += part[row, first + j]
    for j in range(means.size):
        means[j] /= part.shape[0]


@inlined
def _find_factors(part: Array, first: int, means: Array, factors: Array, low: float, high: float) -> bool:
    """Set `factors` to what the columns first.. of `part` are to be multiplied by; whether any is not 1."""
    factors[:] = 0.0
    for row in range(part.shape[0]):
        for j in range(factors.size):
            value = part[row, first + j] - means[j]
            factors[j] += value * value
    found = False
    for j in range(factors.size):
        norm = np.sqrt(factors[j])
        outside = norm > high or 0 < norm < low
        factors[j] = (high if norm > high else low) / norm if outside else 1.0
        found |= outside
    return found


@inlined
def _bound(
    start: int, stop: int, parts: Array, blocks: int, low: float, high: float, centred: bool, memory: Array
) -> None:
    rows, columns = parts.shape[1:]
    for item in range(start, stop):
        part, first = parts[item // blocks], item % blocks * _COLUMNS
        means, factors = memory[:, : min(_COLUMNS, columns - first)]
        means[:] = 0.0
        if centred:
            _find_means(part, first, means)
        if not _find_factors(part, first, means, factors, low, high):
            continue
        for row in range(rows):
            for j in range(factors.size):
                part[row, first + j] *= factors[j]
