"""Locally connected filters on a GPU: windows laid out as a matrix, and by cuBLAS one product for each module."""

from __future__ import annotations

import numpy as np

from convnet.backends.cuda.cublas import Matrices, Operand, gemm_strided_batched
from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.launches import in_turn
from convnet.errors import ConvnetError
from convnet.ops.bias.cuda_neuron import add_bias_apply_neuron
from convnet.ops.conv import check_shapes
from convnet.ops.conv.cuda_windows import chunks, columns, fits, gather, groups, scatter, tail
from convnet.ops.local import LocalGeometry
from convnet.ops.local.order import weights_from_memory, weights_to_memory
from convnet.ops.neuron import IDENT, NeuronFunction

__all__ = ["bprop_acts", "bprop_weights", "fprop", "weights_from_memory", "weights_to_memory"]


def fprop(
    dev: CudaDevice, x: GPUArray, w: GPUArray, bias: GPUArray | None, y: GPUArray, geometry: LocalGeometry, *,
    accumulate: bool, neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """`y` = f(local(x) [+ y] [+ bias])."""
    g, launches = geometry, list[Launch]()
    _check(x, w, y, g)
    if bias is not None and bias.shape != (g.modules * g.filters,):
        raise ValueError(f"local: bias of shape {bias.shape} for {g}")
    for start, count in chunks(g, len(x), dev.activations):
        matrix, fill = gather(dev, x, g, start, count)
        launches += fill
        for column, f in groups(g):
            launches.append(
                gemm_strided_batched(dev, False, False, count, g.filters // g.groups, g.rows,
                                     _windows(matrix(column), g), _filters(w, f, g), _outputs(y, start, f, g),
                                     g.modules, accumulate=accumulate)
            )  # fmt: skip
    if bias is not None or (neuron or IDENT) != IDENT:
        launches.append(add_bias_apply_neuron(dev, y, bias, neuron or IDENT))
    return in_turn(launches)


def bprop_acts(
    dev: CudaDevice, dy: GPUArray, w: GPUArray, dx: GPUArray, geometry: LocalGeometry, *, accumulate: bool
) -> Launch:
    """`dx` (+)= the gradient; what windows have in common is added up in float32."""
    g, launches = geometry, list[Launch]()
    _check(dx, w, dy, g)
    for start, count in chunks(g, len(dx), np.dtype(np.float32)):
        matrix, add_up = scatter(dev, dx, g, start, count, accumulate=accumulate)
        for column, f in groups(g):
            launches.append(
                gemm_strided_batched(dev, False, True, count, g.rows, g.filters // g.groups, _outputs(dy, start, f, g),
                                     _filters(w, f, g), _windows(matrix(column), g), g.modules,
                                     accumulate=accumulate and not add_up)
            )  # fmt: skip
        launches += add_up
    return in_turn(launches)


def bprop_weights(
    dev: CudaDevice, x: GPUArray, dy: GPUArray, dw: GPUArray, geometry: LocalGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient, summed over the cases."""
    g, launches = geometry, list[Launch]()
    _check(x, dw, dy, g)
    for start, count in chunks(g, len(x), dev.activations):
        matrix, fill = gather(dev, x, g, start, count)
        launches += fill
        for column, f in groups(g):
            launches.append(
                gemm_strided_batched(dev, True, False, g.rows, g.filters // g.groups, count,
                                     _windows(matrix(column), g), _outputs(dy, start, f, g), _filters(dw, f, g),
                                     g.modules, accumulate=accumulate or start > 0)
            )  # fmt: skip
    return in_turn(launches)


def _windows(matrix: Operand, g: LocalGeometry) -> Matrices:
    """For each module (cases, rows): its windows, of a group."""
    return Matrices(matrix, g.modules * columns(g), columns(g))


def _filters(w: GPUArray, f: int, g: LocalGeometry) -> Matrices:
    """For each module (rows, filters of a group): its filters from `f` on."""
    return Matrices(tail(w, f), g.filters, g.rows * g.filters)


def _outputs(y: GPUArray, start: int, f: int, g: LocalGeometry) -> Matrices:
    """For each module (cases, filters of a group): its outputs from case `start` and filter `f` on."""
    size = g.modules * g.filters
    return Matrices(tail(y, start * size + f), size, g.filters)


def _check(x: GPUArray, w: GPUArray, y: GPUArray, g: LocalGeometry) -> None:
    """Check the arrays and the geometry.

    Raises:
        ValueError: unless x, w and y are what the geometry says.
        ConvnetError: if the geometry is too large for the kernels.
    """
    if not fits(g):
        raise ConvnetError(f"local: windows of {g.modules * columns(g):,} numbers for one case; must be below 2^31")
    check_shapes(x, w, y, g)
