"""Changes of memory order on a GPU: transpositions of (pixel, channel) through tiles in shared memory."""

from __future__ import annotations

from pathlib import Path

from convnet.backends.cuda.device import THREADS, CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns
from convnet.ops.eltwise import cuda as eltwise
from convnet.shape import Maps

_SOURCE = Path(__file__).with_name("layout.cu")
_SIDE = 64  # of a tile: rows of 128 bytes and more, read and written
_ROOM = _SIDE * (_SIDE + 1)  # numbers in shared memory, as in layout.cu


def convert(
    dev: CudaDevice, src: GPUArray, src_maps: Maps | None, dst: GPUArray, dst_maps: Maps | None, *, accumulate: bool
) -> Launch:
    """dst (+)= src, feature by feature."""
    cases, features = len(dst), dst_maps.features if dst_maps else dst.shape[-1]
    for array, maps in ((src, src_maps), (dst, dst_maps)):
        expected = (cases, maps.y, maps.x, maps.channels) if maps else (cases, features)
        if array.shape != expected or array.size != cases * features:
            raise ValueError(f"layout: {src.shape} as {src_maps} and {dst.shape} as {dst_maps} do not fit")
    channels, others = _channels(src_maps), _channels(dst_maps)
    if channels == others:
        return eltwise.scale(dev, src.reshape(-1), dst.reshape(-1), coeff=1.0, accumulate=accumulate)
    if others == 1:
        return _transpose(dev, src, features // channels, channels, dst, accumulate=accumulate)
    if channels == 1:
        return _transpose(dev, src, others, features // others, dst, accumulate=accumulate)
    kernel = dev.kernel(_SOURCE, "gather", **dev.act)
    grid = rows_and_columns(cases, features)
    return dev.call(kernel, *grid, src, channels, dst, others, cases, features, int(accumulate))


def _channels(maps: Maps | None) -> int:
    """The channels of maps; 1 for everything that lies in feature order, as maps of one channel do."""
    return maps.channels if maps and maps.pixels > 1 else 1


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
