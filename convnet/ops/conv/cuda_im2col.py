"""Convolution on a GPU in two steps: windows laid out as a matrix, some cases at a time, and products by cuBLAS."""

from __future__ import annotations

import numpy as np

from convnet.backends.cuda.cublas import gemm
from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.launches import in_turn
from convnet.ops.bias.cuda_neuron import add_bias_apply_neuron
from convnet.ops.conv import ConvGeometry
from convnet.ops.conv.cuda_windows import chunks, columns, gather, groups, scatter, tail
from convnet.ops.neuron import IDENT, NeuronFunction


def fprop(
    dev: CudaDevice, x: GPUArray, w: GPUArray, bias: GPUArray | None, y: GPUArray, g: ConvGeometry, *,
    accumulate: bool, neuron: NeuronFunction,
) -> Launch:  # fmt: skip
    """`y` = f(conv(x) [+ y] [+ bias])."""
    launches: list[Launch] = []
    for start, count in chunks(g, len(x), dev.activations):
        matrix, fill = gather(dev, x, g, start, count)
        launches += fill
        for column, f in groups(g):
            out = tail(y, start * g.modules * g.filters + f)
            launches.append(
                gemm(dev, False, False, count * g.modules, g.filters // g.groups, g.rows, matrix(column), columns(g),
                     tail(w, f), g.filters, out, g.filters, accumulate=accumulate)
            )  # fmt: skip
    if bias is not None or neuron != IDENT:
        launches.append(add_bias_apply_neuron(dev, y, bias, neuron))
    return in_turn(launches)


def bprop_acts(
    dev: CudaDevice, dy: GPUArray, w: GPUArray, dx: GPUArray, g: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dx` (+)= the gradient; sums over the taps in float32."""
    launches: list[Launch] = []
    for start, count in chunks(g, len(dx), np.dtype(np.float32)):
        matrix, add_up = scatter(dev, dx, g, start, count, accumulate=accumulate)
        for column, f in groups(g):
            gradients = tail(dy, start * g.modules * g.filters + f)
            launches.append(
                gemm(dev, False, True, count * g.modules, g.rows, g.filters // g.groups, gradients, g.filters,
                     tail(w, f), g.filters, matrix(column), columns(g), accumulate=accumulate and not add_up)
            )  # fmt: skip
        launches += add_up
    return in_turn(launches)


def bprop_weights(
    dev: CudaDevice, x: GPUArray, dy: GPUArray, dw: GPUArray, g: ConvGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient."""
    launches: list[Launch] = []
    for start, count in chunks(g, len(x), dev.activations):
        matrix, fill = gather(dev, x, g, start, count)
        launches += fill
        for column, f in groups(g):
            gradients = tail(dy, start * g.modules * g.filters + f)
            launches.append(
                gemm(dev, True, False, g.rows, g.filters // g.groups, count * g.modules, matrix(column), columns(g),
                     gradients, g.filters, tail(dw, f), g.filters, accumulate=accumulate or start > 0)
            )  # fmt: skip
    return in_turn(launches)
