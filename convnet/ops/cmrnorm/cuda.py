"""Response normalization across maps, on a GPU: windows of a few channels, and a general way for all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convnet.backends.cuda.checks import check_alike
from convnet.backends.cuda.device import THREADS, CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import block_per_row, rows_and_columns, span
from convnet.ops.rnorm import Normalization
from convnet.ops.rnorm.cuda_numbers import numbers, power_macro

_FEW = Path(__file__).with_name("cmrnorm.cu")
_ANY = Path(__file__).with_name("any_window.cu")
_UNROLLED = 9  # the largest window that cmrnorm.cu is compiled for
_WARP = 32
_SHARED = 48 << 10  # bytes of a block
_BLOCKS = 8  # to a multiprocessor, where blocks have room in the workspace


def fprop(dev: CudaDevice, x: GPUArray, y: GPUArray, norm: Normalization) -> Launch:
    """y = x * d^-power."""
    check_alike("cmrnorm", x, y)
    if not _unrolled(norm):
        pixels, channels = _pixels(x)
        kernel = dev.kernel(_ANY, "fprop", **dev.act, POWER=power_macro(norm))
        return dev.call(kernel, *block_per_row(pixels, channels), x, y, np.int64(pixels), *_window(channels, norm))
    rows, columns = _rows(x)
    size, macros = _macros(dev, x, norm)
    kernel = dev.kernel(_FEW, "fprop", **macros)
    return dev.call(
        kernel, *rows_and_columns(rows, columns // size), x, y, rows, columns, x.shape[3], numbers(norm)
    )  # fmt: skip


def bprop(
    dev: CudaDevice, dy: GPUArray, x: GPUArray, dx: GPUArray, norm: Normalization, *, accumulate: bool
) -> Launch:  # fmt: skip
    """dx (+)= the gradient of fprop."""
    check_alike("cmrnorm", dy, x, dx)
    if not _unrolled(norm):
        return _bprop_any(dev, dy, x, dx, norm, accumulate)
    rows, columns = _rows(x)
    size, macros = _macros(dev, x, norm)
    kernel = dev.kernel(_FEW, "bprop", **macros)
    return dev.call(
        kernel, *_warps(rows, columns // size, -(-(norm.size // 2) // size)),
        dy, x, dx, rows, columns, x.shape[3], numbers(norm), int(accumulate),
    )  # fmt: skip


def _unrolled(norm: Normalization) -> bool:
    return not norm.blocked and norm.size <= _UNROLLED


def _rows(x: GPUArray) -> tuple[int, int]:
    """The rows of all images, and the numbers in each."""
    cases, height, width, channels = x.shape
    return cases * height, width * channels


def _pixels(x: GPUArray) -> tuple[int, int]:
    """The pixels of all images, and the channels of each."""
    rows, columns = _rows(x)
    channels = x.shape[3]
    return rows * columns // channels, channels


def _macros(dev: CudaDevice, x: GPUArray, norm: Normalization) -> tuple[int, dict[str, int]]:
    """The size of a span, and cmrnorm.cu's macros."""
    size = span(dev, x.shape[3])
    return size, {**dev.act, "SPAN": size, "SIZE": norm.size, "POWER": power_macro(norm)}


def _warps(rows: int, spans: int, reach: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Grid and block of warps that each have a part of a row; `reach` lanes at both ends have no result."""
    warps = -(-spans // (_WARP - 2 * reach))
    across = -(-warps * _WARP // THREADS)
    return rows_and_columns(rows, -(-warps // across) * across * _WARP)


def _window(channels: int, norm: Normalization) -> tuple[bytes, bytes]:
    """any_window.cu's structs Window and Numbers."""
    return np.array([channels, norm.size, norm.blocked], np.int32).tobytes(), numbers(norm)


def _bprop_any(
    dev: CudaDevice, dy: GPUArray, x: GPUArray, dx: GPUArray, norm: Normalization, accumulate: bool
) -> Launch:
    pixels, channels = _pixels(x)
    (blocks,), block = block_per_row(pixels, channels)
    shared = 2 * 4 * channels
    workspace: Any = None
    if shared > _SHARED:
        blocks, shared = min(blocks, _BLOCKS * dev.processors), 0
        workspace = dev.workspace.reserve((blocks, 2, channels))
    kernel = dev.kernel(_ANY, "bprop", **dev.act, POWER=power_macro(norm))
    return dev.call(
        kernel, (blocks,), block, dy, x, dx, workspace, np.int64(pixels), *_window(channels, norm), int(accumulate),
        shared=shared,
    )  # fmt: skip
