"""Batch normalization on the CPU. Sums over rows are float64, in a fixed number of parts whatever the threads."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Reservation, Scratch
from convnet.backends.launches import in_turn
from convnet.ops.bnorm import check_shapes, cpu_rows, cpu_sums
from convnet.ops.neuron import IDENT, NeuronFunction


def fprop_train(
    dev: CpuDevice, x: Array, y: Array, scale: Array, shift: Array, mean: Array, variance: Array, batch: Array, *,
    eps: float, momentum: float, neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """y = f(the normalized x); batch = x's mean and 1 / deviation; mean and variance move towards x's."""
    rows, channels = check_shapes([x, y], [scale, shift, mean, variance], [batch])
    source, partial = x.reshape(rows, channels), _partial(dev, channels)
    sums = dev.parallel(cpu_sums.moments, cpu_sums.PARTS, source, partial)
    finish = dev.parallel(
        cpu_sums.finish_moments, cpu_sums.blocks(channels), source, partial, batch, mean, variance, eps, momentum
    )
    apply = _normalize(dev, x, y, scale, shift, batch[0], batch[1], neuron)
    return in_turn([sums, finish, apply])


def fprop_test(
    dev: CpuDevice, x: Array, y: Array, scale: Array, shift: Array, mean: Array, variance: Array, *, eps: float,
    neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """y = f(x normalized with `mean` and `variance`)."""
    _, channels = check_shapes([x, y], [scale, shift, mean, variance], [])
    inverse = dev.workspace.reserve((channels,), x.dtype)
    invert = dev.parallel(cpu_rows.invert, channels, variance, inverse, eps)
    return in_turn([invert, _normalize(dev, x, y, scale, shift, mean, inverse, neuron)])


def bprop_sums(
    dev: CpuDevice, dy: Array, x: Array, batch: Array, sums: Array, dscale: Array | None, dshift: Array | None, *,
    accumulate: bool,
) -> Launch:  # fmt: skip
    """sums = those of dy and of dy times the normalized x; dshift and dscale (+)= them."""
    rows, channels = check_shapes([dy, x], [dscale, dshift], [batch, sums])
    partial, none = _partial(dev, channels), np.empty(0, x.dtype)
    arrays = [array.reshape(rows, channels) for array in (dy, x)]
    parts = dev.parallel(cpu_sums.products, cpu_sums.PARTS, *arrays, batch[0], partial)
    finish = dev.parallel(
        cpu_sums.finish_products, cpu_sums.blocks(channels), partial, batch[1], sums,
        none if dscale is None else dscale, none if dshift is None else dshift, accumulate,
    )  # fmt: skip
    return in_turn([parts, finish])


def bprop_acts(
    dev: CpuDevice, dy: Array, x: Array, scale: Array, batch: Array, sums: Array, dx: Array, *, accumulate: bool
) -> Launch:
    """dx (+)= the gradient of fprop_train; sums are bprop_sums'."""
    rows, channels = check_shapes([dy, x, dx], [scale], [batch, sums])
    arrays = [array.reshape(rows, channels) for array in (dy, x, dx)]
    room = Scratch((3, channels), x.dtype)
    return dev.parallel(cpu_rows.bprop, *cpu_rows.cut(rows, channels), *arrays, scale, batch, sums, accumulate, room)


def _normalize(
    dev: CpuDevice, x: Array, y: Array, scale: Array, shift: Array, mean: Array, inverse: Array | Reservation,
    neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """y = f((x - mean) * inverse * scale + shift)."""
    f, real, source = neuron or IDENT, y.dtype.type, x.reshape(-1, x.shape[-1])
    return dev.parallel(
        cpu_rows.normalize, *cpu_rows.cut(*source.shape), source, y.reshape(-1), mean, inverse, scale, shift, f.code,
        real(f.a), real(f.b), Scratch(scale.shape, y.dtype),
    )  # fmt: skip


def _partial(dev: CpuDevice, channels: int) -> Reservation:
    return dev.workspace.reserve((cpu_sums.PARTS, 2, channels), np.float64)
