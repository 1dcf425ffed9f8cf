"""Changes of memory order on a GPU: transpositions of (pixel, channel) through tiles in shared memory."""

from __future__ import annotations

from pathlib import Path

from convnet.backends.cuda.device import THREADS, CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns
from convnet.ops.eltwise import cuda as eltwise
from convnet.ops.layout import channels_in_turn, check_convert
from convnet.shape import Maps

_SOURCE = Path(__file__).with_name("layout.cu")
_SIDE = 64  # of a tile: rows of 128 bytes and more, read and written
_ROOM = _SIDE * (_SIDE + 1)  # numbers in shared memory, as in layout.cu


def convert(
    dev: CudaDevice, src: GPUArray, src_maps: Maps | None, dst: GPUArray, dst_maps: Maps | None, *, accumulate: bool
) -> Launch:
    """dst (+)= src, feature by feature."""
    cases, features = check_convert(src, src_maps, dst, dst_maps)
    channels, others = channels_in_turn(src_maps), channels_in_turn(dst_maps)
    if channels == others:
        return eltwise.scale(dev, src.reshape(-1), dst.reshape(-1), coeff=1.0, accumulate=accumulate)
    if others == 1:
        return _transpose(dev, src, features // channels, channels, dst, accumulate=accumulate)
    if channels == 1:
        return _transpose(dev, src, others, features // others, dst, accumulate=accumulate)
    kernel = dev.kernel(_SOURCE, "gather", **dev.act)
    grid = rows_and_columns(cases, features)
    return dev.call(kernel, *grid, src, channels, dst, others, cases, features, int(accumulate))


def _transpose(dev: CudaDevice, src: GPUArray, rows: int, columns: int, dst: GPUArray, *, accumulate: bool) -> Launch:
    """Each case of `dst`, (columns, rows), (+)= the transpose of that of `src`, (rows, columns)."""
    height, width = _tile(rows, columns)
    tiles = -(-rows // height) * -(-columns // width) * len(src)
    kernel = dev.kernel(_SOURCE, "transpose", **dev.act)
    return dev.call(kernel, (tiles,), (THREADS,), src, dst, rows, columns, height, width, int(accumulate))


def _tile(rows: int, columns: int) -> tuple[int, int]:
    """The height and width of tiles: square, but longer where a side has less to fill it.

    A row takes an odd number of places, so that neither rows nor columns meet in one bank of the shared memory.
    """
    if rows < _SIDE:
        return rows, min(columns, _ROOM // rows - 1)
    if columns < _SIDE:
        return min(rows, _ROOM // (columns | 1)), columns
    return _SIDE, _SIDE
