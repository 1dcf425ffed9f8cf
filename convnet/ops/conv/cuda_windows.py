"""Windows of maps laid out as a matrix in the workspace of a GPU, some cases at a time.

The matrix has a row for each module of each case and a column for each (group, i, j, channel of the group). Where
filters are single pixels, one for each pixel of the image, the image is that matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convnet.backends import WORKSPACE
from convnet.backends.cuda.cublas import Operand
from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import span
from convnet.ops.conv import ConvGeometry
from convnet.ops.conv.cuda_geometry import pack

_SOURCE = Path(__file__).with_name("im2col.cu")
_MOST = (1 << 31) - (1 << 10)  # what kernels count stays below this, threads to spare included

Columns = Callable[[int], Operand]  # the matrix from a column on


def fits(g: ConvGeometry) -> bool:
    """Whether kernels can count the windows of one case."""
    return g.modules * columns(g) < _MOST and g.maps.features < _MOST


def columns(g: ConvGeometry) -> int:
    """Columns of the matrix."""
    return g.rows * g.groups


def chunks(g: ConvGeometry, cases: int, dtype: np.dtype[Any]) -> Iterator[tuple[int, int]]:
    """The first case and the number of cases of each chunk, whose matrix is in this type."""
    most = min(WORKSPACE // dtype.itemsize // (g.modules * columns(g)), _MOST // g.maps.features)
    count = cases if _is_matrix(g) else max(1, min(cases, most))
    for start in range(0, cases, count):
        yield start, min(count, cases - start)


def groups(g: ConvGeometry) -> Iterator[tuple[int, int]]:
    """The first column and the first filter of each group."""
    for group in range(g.groups):
        yield group * g.rows, group * g.filters // g.groups


def gather(dev: CudaDevice, x: GPUArray, g: ConvGeometry, start: int, count: int) -> tuple[Columns, list[Launch]]:
    """The matrix (activations) of `count` cases of `x` from `start` on, and what fills it, unless it is the image."""
    image = tail(x, start * g.maps.features)
    if _is_matrix(g):
        return lambda column: tail(image, column), []
    room, vec = dev.workspace.reserve((count * g.modules, columns(g)), dev.activations), span(dev, g.filter_channels)
    items = count * g.modules * columns(g) // vec
    fill = dev.per_item(dev.kernel(_SOURCE, "im2col", VEC=vec, **dev.act), items, image, room, pack(g, count))
    return lambda column: lambda: tail(room(), column), [fill]


def scatter(
    dev: CudaDevice, dx: GPUArray, g: ConvGeometry, start: int, count: int, *, accumulate: bool
) -> tuple[Columns, list[Launch]]:
    """A matrix (float32) for gradients of windows, and what adds them up into `count` cases of `dx` from `start` on.

    Where the matrix is the image there is nothing to add up: whoever fills it has to heed `accumulate`.
    """
    image = tail(dx, start * g.maps.features)
    if _is_matrix(g):
        return lambda column: tail(image, column), []
    room, vec = dev.workspace.reserve((count * g.modules, columns(g))), span(dev, g.filter_channels)
    kernel, items = dev.kernel(_SOURCE, "col2im", VEC=vec, **dev.act), count * g.maps.features // vec
    add_up = dev.per_item(kernel, items, room, image, pack(g, count), int(accumulate))
    return lambda column: lambda: tail(room(), column), [add_up]


def tail(array: GPUArray, start: int) -> GPUArray:
    """The numbers of an array from number `start` on."""
    return GPUArray((array.size - start,), array.dtype, base=array, gpudata=array.ptr + start * array.dtype.itemsize)


def _is_matrix(g: ConvGeometry) -> bool:
    """Whether the image is the matrix of windows already."""
    return (g.filter_size, g.padding, g.stride) == (1, 0, 1) and (g.modules_y, g.modules_x) == (g.maps.y, g.maps.x)
