"""Batch normalization on a GPU. Sums over rows have an order that depends on the shape alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.backends.launches import in_turn
from convnet.ops.bias.cuda import parts_of, spans_and_lanes
from convnet.ops.bnorm import check_shapes
from convnet.ops.neuron import IDENT, NeuronFunction

_SUMS, _ROWS = (Path(__file__).with_name(name) for name in ("sums.cu", "rows.cu"))


def fprop_train(
    dev: CudaDevice, x: GPUArray, y: GPUArray, scale: GPUArray, shift: GPUArray, mean: GPUArray, variance: GPUArray,
    batch: GPUArray, *, eps: float, momentum: float, neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """y = f(the normalized x); batch = x's mean and 1 / deviation; mean and variance move towards x's."""
    rows, channels = check_shapes([x, y], [scale, shift, mean, variance], [batch])
    size = span(dev, channels)
    parts = parts_of(rows, channels // size)
    partial = dev.workspace.reserve((parts, 2, channels))
    numbers = np.int64(rows), channels
    sums = dev.call(
        dev.kernel(_SUMS, "moments", **dev.act, SPAN=size), *spans_and_lanes(channels // size, parts),
        x, partial, *numbers,
    )  # fmt: skip
    finish = dev.call(
        dev.kernel(_SUMS, "finish_moments", **dev.act, SPAN=size), *spans_and_lanes(channels, 1),
        x, partial, parts, batch, mean, variance, *numbers, eps, momentum,
    )  # fmt: skip
    return in_turn([sums, finish, _normalize(dev, "fprop_train", x, y, [scale, shift, batch], neuron)])


def fprop_test(
    dev: CudaDevice, x: GPUArray, y: GPUArray, scale: GPUArray, shift: GPUArray, mean: GPUArray, variance: GPUArray, *,
    eps: float, neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """y = f(x normalized with `mean` and `variance`)."""
    check_shapes([x, y], [scale, shift, mean, variance], [])
    return _normalize(dev, "fprop_test", x, y, [scale, shift, mean, variance], neuron, eps)


def bprop_sums(
    dev: CudaDevice, dy: GPUArray, x: GPUArray, batch: GPUArray, sums: GPUArray, dscale: GPUArray | None,
    dshift: GPUArray | None, *, accumulate: bool,
) -> Launch:  # fmt: skip
    """sums = those of dy and of dy times the normalized x; dshift and dscale (+)= them."""
    rows, channels = check_shapes([dy, x], [dscale, dshift], [batch, sums])
    size = span(dev, channels)
    parts = parts_of(rows, channels // size)
    partial = dev.workspace.reserve((parts, 2, channels))
    first = dev.call(
        dev.kernel(_SUMS, "products", **dev.act, SPAN=size), *spans_and_lanes(channels // size, parts),
        dy, x, batch, partial, np.int64(rows), channels,
    )  # fmt: skip
    second = dev.call(
        dev.kernel(_SUMS, "finish_products", **dev.act, SPAN=size), *spans_and_lanes(channels, 1),
        partial, parts, batch, sums, dscale, dshift, channels, int(accumulate),
    )  # fmt: skip
    return in_turn([first, second])


def bprop_acts(
    dev: CudaDevice, dy: GPUArray, x: GPUArray, scale: GPUArray, batch: GPUArray, sums: GPUArray, dx: GPUArray, *,
    accumulate: bool,
) -> Launch:  # fmt: skip
    """dx (+)= the gradient of fprop_train; sums are bprop_sums'."""
    rows, channels = check_shapes([dy, x, dx], [scale], [batch, sums])
    size = span(dev, channels)
    kernel = dev.kernel(_ROWS, "bprop", **dev.act, SPAN=size)
    grid = rows_and_columns(rows, channels // size)
    return dev.call(kernel, *grid, dy, x, scale, batch, sums, dx, np.int64(rows), channels, int(accumulate))


def _normalize(
    dev: CudaDevice, name: str, x: GPUArray, y: GPUArray, vectors: list[GPUArray], neuron: NeuronFunction | None,
    *numbers: float,
) -> Launch:  # fmt: skip
    """y = f(the normalized x) by one of the kernels of rows.cu."""
    channels, f = x.shape[-1], neuron or IDENT
    rows, size = x.size // channels, span(dev, channels)
    kernel = dev.kernel(_ROWS, name, **dev.act, SPAN=size)
    return dev.call(
        kernel, *rows_and_columns(rows, channels // size), x, y, *vectors, np.int64(rows), channels, *numbers,
        f.code, f.a, f.b,
    )  # fmt: skip
