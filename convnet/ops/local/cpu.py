"""Locally connected filters on the CPU: for each module, the windows of many cases times the module's filters.

Products are added up where the maps lie, in tiles of several cases, or of several weights, held in registers.
"""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.jit import inlined, kernel
from convnet.backends.cpu.tile import multiply, tile_of
from convnet.backends.cpu.vectors import address
from convnet.backends.launches import in_turn
from convnet.ops.conv import check_shapes
from convnet.ops.conv.cpu_filters import block_width
from convnet.ops.conv.cpu_finish import finish
from convnet.ops.conv.cpu_windows import Windows, windows
from convnet.ops.local import LocalGeometry
from convnet.ops.local.order import weights_from_memory, weights_to_memory
from convnet.ops.neuron import IDENT, NeuronFunction

__all__ = ["bprop_acts", "bprop_weights", "fprop", "weights_from_memory", "weights_to_memory"]

_LINE = 16  # rows that are transposed at once: float32 of a cache line

_RELU, _IDENT = NeuronFunction("relu").code, IDENT.code


def fprop(
    dev: CpuDevice, x: Array, w: Array, bias: Array | None, y: Array, geometry: LocalGeometry, *, accumulate: bool,
    neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """`y` = f(local(x) [+ y] [+ bias])."""
    n = check_shapes(x, w, y, geometry)
    if bias is not None and bias.shape != (geometry.modules * geometry.filters,):
        raise ValueError(f"local: bias of shape {bias.shape} for {geometry}")
    f, g, real = neuron or IDENT, windows(geometry), y.dtype.type
    return dev.parallel(
        _fprop, geometry.modules, tile_of(y.dtype), x.reshape(-1), w.reshape(-1),
        np.empty(0, y.dtype) if bias is None else bias, y.reshape(-1), g, geometry.groups, geometry.filters, n,
        accumulate, f.code, real(f.a), real(f.b),
    )  # fmt: skip


def bprop_acts(dev: CpuDevice, dy: Array, w: Array, dx: Array, geometry: LocalGeometry, *, accumulate: bool) -> Launch:
    """`dx` (+)= the gradient; one item is one pixel, of all cases."""
    n, g = check_shapes(dx, w, dy, geometry), windows(geometry)
    transposed = dev.workspace.reserve((w.size,), w.dtype)
    transposition = dev.parallel(
        _transpose, geometry.modules, w.reshape(-1), geometry.rows, geometry.filters, transposed
    )
    gradients = dev.parallel(
        _bprop_acts, g.height * g.width, tile_of(dx.dtype), dy.reshape(-1), transposed, dx.reshape(-1), g,
        geometry.groups, geometry.filters, n, accumulate,
    )  # fmt: skip
    return in_turn([transposition, gradients])


def bprop_weights(
    dev: CpuDevice, x: Array, dy: Array, dw: Array, geometry: LocalGeometry, *, accumulate: bool
) -> Launch:
    """`dw` (+)= the gradient; one item is one module."""
    n, g = check_shapes(x, dw, dy, geometry), windows(geometry)
    return dev.parallel(
        _bprop_weights, geometry.modules, tile_of(dw.dtype), x.reshape(-1), dy.reshape(-1), dw.reshape(-1), g,
        geometry.groups, geometry.filters, n, accumulate,
    )  # fmt: skip


@kernel
def _fprop(
    start: int, stop: int, tile: int, x: Array, w: Array, bias: Array, y: Array, g: Windows, groups: int, filters: int,
    cases: int, accumulate: bool, code: int, fa: float, fb: float,
) -> None:  # fmt: skip
    """Modules start..stop."""
    modules, width, block = g.modules_y * g.modules_x, filters // groups, block_width(x.itemsize)
    features, late = g.height * g.width * g.channels, bias.size > 0 and accumulate
    relu = 1 if code == _RELU and not late else 0
    for module in range(start, stop):
        for number in range(groups * -(-width // block)):
            group, k = divmod(number, -(-width // block))
            columns, f = min(block, width - k * block), group * width + k * block
            at, row, loops = _window(module, g, groups, group, filters)
            to = address(y, module * filters + f)
            shared = (1 if bias.size > 0 else 0, address(bias, module * filters + f), 0)
            multiply(
                tile, x.itemsize, cases, (address(x, at), features),
                address(w, (module * g.rows + row) * filters + f), loops, columns, (to, modules * filters),
                (1, to, modules * filters) if accumulate else shared, relu, 0,
            )  # fmt: skip
        for position in range(module, cases * modules, modules):
            finish(y, position, position + 1, filters, bias, late, _IDENT if relu else code, fa, fb)


@inlined
def _window(
    module: int, g: Windows, groups: int, group: int, filters: int
) -> tuple[int, int, tuple[tuple[int, int, int], ...]]:
    """Where the part of a module's window that lies inside the image begins, in a case and in the rows of the filters.

    And the loops over it, as `multiply` takes them.
    """
    module_y, module_x = divmod(module, g.modules_x)
    top, left = module_y * g.stride - g.padding, module_x * g.stride - g.padding
    upper, rows = _inside(top, g.size, g.height)
    before, columns = _inside(left, g.size, g.width)
    channels, over_rows = g.filter_channels, (rows, g.width * g.channels, g.size * g.filter_channels * filters)
    taps, run = (1, 0, 0), (columns * channels, 1, filters)
    if groups > 1:
        taps, run = (columns, g.channels, channels * filters), (channels, 1, filters)
    pixel = (top + upper) * g.width + left + before
    return pixel * g.channels + group * channels, (upper * g.size + before) * channels, (over_rows, taps, run)


@inlined
def _inside(start: int, size: int, length: int) -> tuple[int, int]:
    """Of a window that begins at `start`, the first place that lies in 0..length, and how many do."""
    first = min(size, max(0, -start))
    return first, max(0, min(size, length - start) - first)


@kernel
def _bprop_acts(
    start: int, stop: int, tile: int, dy: Array, w: Array, dx: Array, g: Windows, groups: int, filters: int, cases: int,
    accumulate: bool,
) -> None:  # fmt: skip
    """Pixels start..stop; w is transposed, module by module."""
    modules, width, block = g.modules_y * g.modules_x, filters // groups, block_width(dx.itemsize)
    channels, features = g.filter_channels, g.height * g.width * g.channels
    for pixel in range(start, stop):
        y, x = divmod(pixel, g.width)
        first_y, count_y = _modules(y, g, g.modules_y)
        first_x, count_x = _modules(x, g, g.modules_x)
        first = first_y * g.modules_x + first_x
        tap = (y + g.padding - first_y * g.stride) * g.size + x + g.padding - first_x * g.stride
        # From module to module, the pixel is further to the front in the window.
        below = (count_y, g.modules_x * filters, (g.modules_x * filters * g.size - g.stride) * g.size * channels)
        beside = (count_x, filters, (filters * g.size * g.size - g.stride) * channels)
        for number in range(groups * -(-channels // block)):
            group, k = divmod(number, -(-channels // block))
            to = address(dx, pixel * g.channels + group * channels + k * block)
            at = (first * filters + group * width) * g.rows + tap * channels + k * block
            multiply(
                tile, dx.itemsize, cases, (address(dy, first * filters + group * width), modules * filters),
                address(w, at), (below, beside, (width, 1, g.rows)), min(block, channels - k * block), (to, features),
                (1 if accumulate else 0, to, features), 0, 0,
            )  # fmt: skip


@inlined
def _modules(pixel: int, g: Windows, modules: int) -> tuple[int, int]:
    """Along one axis, the first module whose window a pixel lies in, and how many there are."""
    last = min(modules - 1, (pixel + g.padding) // g.stride)
    first = max(0, (pixel + g.padding - g.size) // g.stride + 1)
    return first, max(0, last - first + 1)


@kernel
def _bprop_weights(
    start: int, stop: int, tile: int, x: Array, dy: Array, dw: Array, g: Windows, groups: int, filters: int, cases: int,
    accumulate: bool,
) -> None:  # fmt: skip
    """Modules start..stop."""
    modules, width, block = g.modules_y * g.modules_x, filters // groups, block_width(x.itemsize)
    features, begin = g.height * g.width * g.channels, 1 if accumulate else 0
    for module in range(start, stop):
        if not accumulate:  # the rows whose part of the window lies outside the image stay 0
            dw[module * g.rows * filters : (module + 1) * g.rows * filters] = 0
        for number in range(groups * -(-width // block)):
            group, k = divmod(number, -(-width // block))
            columns, f = min(block, width - k * block), group * width + k * block
            at, row, ((rows, x_row, w_row), (taps, x_tap, w_tap), (run, _, _)) = _window(
                module, g, groups, group, filters
            )
            for r in range(rows):
                for t in range(taps):
                    to = address(dw, (module * g.rows + row) * filters + f + r * w_row + t * w_tap)
                    multiply(
                        tile, x.itemsize, run, (address(x, at + r * x_row + t * x_tap), 1),
                        address(dy, module * filters + f), ((1, 0, 0), (1, 0, 0), (cases, features, modules * filters)),
                        columns, (to, filters), (begin, to, filters), 0, 0,
                    )  # fmt: skip


@kernel
def _transpose(start: int, stop: int, w: Array, rows: int, filters: int, transposed: Array) -> None:
    """Matrices start..stop of w (rows, filters), as (filters, rows): what a tile multiplies with lies in vectors."""
    for first in range(start * rows * filters, stop * rows * filters, rows * filters):
        for top in range(0, rows, _LINE):
            for f in range(filters):
                for row in range(top, min(top + _LINE, rows)):
                    transposed[first + f * rows + row] = w[first + row * filters + f]
