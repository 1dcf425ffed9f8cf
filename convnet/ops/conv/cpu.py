"""Convolution on the CPU, by one of three engines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from convnet.backends.cpu.choice import choose
from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.ops.conv import (
    ConvGeometry,
    check_shapes,
    cpu_direct,
    cpu_direct_acts,
    cpu_direct_weights,
    cpu_winograd,
    cpu_winograd_rows,
    cpu_winograd_weights,
)
from convnet.ops.conv.order import weights_from_memory, weights_to_memory
from convnet.ops.neuron import NeuronFunction

__all__ = [
    "bprop_acts", "bprop_weights", "fprop", "weights_from_memory", "weights_to_memory",
]  # fmt: skip

Engine = Callable[..., Launch]

_FEW = 8  # channels or filters of a group below which transforms along both axes never pay

# Multiply-adds that engines are timed on: some 10 ms of the slower one. Fewer cases would be no minibatch, in which
# what is done once does not count; more are seldom used.
_TIMED_WORK, _FEWEST_CASES, _MOST_CASES = 1 << 29, 8, 128


def fprop(
    dev: CpuDevice, x: Array, w: Array, bias: Array | None, y: Array, geometry: ConvGeometry, *, accumulate: bool,
    neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """`y` = f(conv(x) [+ y] [+ bias])."""
    check_shapes(x, w, y, geometry)
    if bias is not None and bias.shape not in ((geometry.filters,), (geometry.modules * geometry.filters,)):
        raise ValueError(f"conv: bias of shape {bias.shape} for {geometry}")
    engines = {"direct": cpu_direct.fprop, "winograd": cpu_winograd.fprop, "rows": cpu_winograd_rows.fprop}
    engine = _fastest(dev, "fprop", engines, geometry, {"x": x, "w": w, "y": y}, bias=None, neuron=None)
    return engine(dev, x, w, bias, y, geometry, accumulate=accumulate, neuron=neuron)


def bprop_acts(dev: CpuDevice, dy: Array, w: Array, dx: Array, geometry: ConvGeometry, *, accumulate: bool) -> Launch:
    """`dx` (+)= the gradient."""
    check_shapes(dx, w, dy, geometry)
    engines = {"direct": cpu_direct_acts.bprop_acts, "winograd": cpu_winograd.bprop_acts}
    engine = _fastest(dev, "bprop_acts", engines, geometry, {"dy": dy, "w": w, "dx": dx})
    return engine(dev, dy, w, dx, geometry, accumulate=accumulate)


def bprop_weights(
    dev: CpuDevice, x: Array, dy: Array, dw: Array, geometry: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient, summed over the cases in an order that does not depend on the threads."""
    check_shapes(x, dw, dy, geometry)
    engines = {
        "direct": cpu_direct_weights.bprop_weights,
        "winograd": cpu_winograd_weights.bprop_weights,
        "rows": cpu_winograd_rows.bprop_weights,
    }
    engine = _fastest(dev, "bprop_weights", engines, geometry, {"x": x, "dy": dy, "dw": dw})
    return engine(dev, x, dy, dw, geometry, accumulate=accumulate)


def _fastest(
    dev: CpuDevice, name: str, engines: dict[str, Engine], geometry: ConvGeometry, arrays: dict[str, Array],
    **options: Any,
) -> Engine:  # fmt: skip
    """The engine for a function: the one that takes least for a few cases, or by rule."""
    dtype = next(iter(arrays.values())).dtype
    # float64 is there to check gradients with.
    exact = dev.exact or dtype == np.float64 or not cpu_winograd.usable(geometry)
    other = None if exact else _with_transforms(geometry)
    if other not in engines:
        return engines["direct"]
    engines = {each: engines[each] for each in ("direct", other)}
    shapes = {each: _timed_shape(array.shape, geometry) for each, array in arrays.items()}
    ways = {each: partial(engine, geometry=geometry, accumulate=False, **options) for each, engine in engines.items()}
    by_rule = "winograd" if other == "winograd" else "direct"
    return engines[choose(dev, (name, geometry), ways, shapes, dtype, by_rule=by_rule)]


def _with_transforms(geometry: ConvGeometry) -> str | None:
    """The engine with Winograd's transforms that may pay for such filters."""
    fewest = min(geometry.filter_channels, geometry.filters // geometry.groups)
    if fewest >= _FEW:
        return "winograd"
    return "rows" if geometry.filter_channels < _FEW <= geometry.filters and geometry.groups == 1 else None


def _timed_shape(shape: tuple[int, ...], geometry: ConvGeometry) -> tuple[int, ...]:
    """That of maps for as many cases as are timed; that of weights, which have two axes, as it is.

    The number does not depend on the minibatch, so that the last one of an epoch takes the same engine as the others.
    """
    cases = _TIMED_WORK // (geometry.modules * geometry.filters * geometry.rows)
    return (max(_FEWEST_CASES, min(_MOST_CASES, cases)), *shape[1:]) if len(shape) > 2 else shape
