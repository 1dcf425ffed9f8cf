"""The step of learning on a GPU: one kernel for the weights of all layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from convnet.backends.cuda.device import THREADS, CudaDevice, GPUArray, Launch
from convnet.backends.launches import in_turn
from convnet.ops.update import check_bounds, check_momentum, cut

Array = np.ndarray[Any, Any]

_SOURCE = Path(__file__).with_name("update.cu")
_BLOCK = 4096  # weights: four of them to a thread, a few times
_SEGMENTS = 128  # whose rates travel with one launch: half of the 4 KB that a kernel's arguments may take
_REST, _MOMENTUM, _NESTEROV = 0, 1, 2  # as in update.cu
_COLUMNS, _LANES = 32, 32  # of a block of wball and wcnorm


def momentum(
    dev: CudaDevice, w: GPUArray, inc: GPUArray, g: GPUArray, *, offsets: Array, rates: Array,
    operands: GPUArray | None = None,
) -> Launch:  # fmt: skip
    """inc = mom * inc - eps * g / N - eps * wc * w; w += inc; or Nesterov's momentum. w, inc, g: 1-D, of one length.

    offsets: (s, 2) int64, the bounds of the segments. rates: (s, 5) float64, read at each launch: eps, mom, wc, 1/N,
    and whether it is Nesterov's.
    operands: as long as w, of the type of activations; what is written to w is also written there, rounded.
    """
    check_momentum(w, inc, g, offsets, rates)
    _check_operands(operands, w)
    kernel = dev.kernel(_SOURCE, "momentum", **dev.act)
    launches = []
    for first in range(0, len(offsets), _SEGMENTS):
        blocks = cut(offsets[first : first + _SEGMENTS], _BLOCK)
        if len(blocks):
            steps = _steps(rates[first : first + _SEGMENTS])
            table = dev.table(blocks)
            launches.append(dev.call(kernel, (len(blocks),), (THREADS,), steps, table, w, inc, g, operands))
    return in_turn(launches)


def _steps(rates: Array) -> Callable[[], bytes]:
    """A function that gives the kernel's struct Steps from the rates as they are when it is called."""
    steps = np.zeros((_SEGMENTS, 4), np.float32)

    def current() -> bytes:
        eps, mom, wc, share, nesterov = rates.T
        rules = np.where(eps == 0, _REST, np.where(nesterov, _NESTEROV, _MOMENTUM))
        steps[: len(rates)] = np.stack([mom, eps * share, eps * wc, rules], axis=1)
        return steps.tobytes()

    return current


def wball(
    dev: CudaDevice, w: GPUArray, *, limit: float, exact: bool, modules: int = 1, operands: GPUArray | None = None
) -> Launch:
    """Rescale columns of w (rows, columns) to the norm `limit`: all if `exact`, else those that are longer.

    operands: of w's shape and the type of activations, holds w rounded, and does so afterwards.
    """
    if w.shape[0] % modules:
        raise ValueError(f"wball: w of shape {w.shape} in {modules} parts")
    return _bounded(dev, w, modules, limit if exact else 0.0, limit, operands, centred=False)


def wcnorm(dev: CudaDevice, w: GPUArray, *, low: float, high: float, operands: GPUArray | None = None) -> Launch:
    """Rescale columns of w (rows, columns) so that |column - its mean| / rows lies in low..high.

    operands: as for `wball`.
    """
    check_bounds(low, high)
    return _bounded(dev, w, 1, low * len(w), high * len(w), operands, centred=True)


def _bounded(
    dev: CudaDevice, w: GPUArray, modules: int, low: float, high: float, operands: GPUArray | None, *, centred: bool
) -> Launch:
    """Bring the norms of columns of each of `modules` parts, `centred` less their means, into low..high."""
    _check_operands(operands, w)
    (rows, columns), kernel = w.shape, dev.kernel(_SOURCE, "bound", **dev.act)
    grid, bounds = (-(-columns // _COLUMNS) * modules,), (np.float64(low), np.float64(high))
    return dev.call(
        kernel, grid, (_COLUMNS, _LANES), w, operands, rows // modules, columns, *bounds, int(centred)
    )  # fmt: skip


def _check_operands(operands: GPUArray | None, w: GPUArray) -> None:
    if operands is not None and operands.shape != w.shape:
        raise ValueError(f"update: operands of shape {operands.shape} for weights of shape {w.shape}")
