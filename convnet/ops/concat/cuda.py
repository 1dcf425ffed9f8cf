"""Concatenation on a GPU."""

from __future__ import annotations

from pathlib import Path

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span

_SOURCE = Path(__file__).with_name("concat.cu")


def fprop(dev: CudaDevice, x: GPUArray, y: GPUArray, *, offset: int) -> Launch:
    """y[:, offset : offset + c] = x."""
    _check(x, y, offset)
    return _copy(dev, x, 0, y, offset, x.shape, accumulate=False)


def bprop(dev: CudaDevice, dy: GPUArray, dx: GPUArray, *, offset: int, accumulate: bool) -> Launch:
    """dx (+)= dy[:, offset : offset + c]."""
    _check(dx, dy, offset)
    return _copy(dev, dy, offset, dx, 0, dx.shape, accumulate=accumulate)


def _check(part: GPUArray, whole: GPUArray, offset: int) -> None:
    if len(part) != len(whole) or offset < 0 or offset + part.shape[1] > whole.shape[1]:
        raise ValueError(f"concat: {part.shape} at column {offset} does not fit into {whole.shape}")


def _copy(
    dev: CudaDevice, source: GPUArray, source_offset: int, target: GPUArray, target_offset: int, shape: tuple[int, int],
    *, accumulate: bool,
) -> Launch:  # fmt: skip
    """(rows, columns) numbers from one column of the source to another of the target."""
    rows, columns = shape
    size = span(dev, source.shape[1], source_offset, target.shape[1], target_offset, columns)
    kernel = dev.kernel(_SOURCE, "copy_packs" if size > 1 else "copy_singles", **dev.act)
    return dev.call(
        kernel, *rows_and_columns(rows, columns // size), source, source.shape[1], source_offset, target,
        target.shape[1], target_offset, rows, columns, int(accumulate),
    )  # fmt: skip
