"""Changes of memory order on the CPU: transpositions of (pixel, channel) in square tiles."""

from __future__ import annotations

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Scratch
from convnet.backends.cpu.jit import kernel
from convnet.ops.layout import channels_in_turn, check_convert
from convnet.shape import Maps

_TILE = 16  # elements: a cache line of float32


def convert(
    dev: CpuDevice, src: Array, src_maps: Maps | None, dst: Array, dst_maps: Maps | None, *, accumulate: bool
) -> Launch:
    """dst (+)= src, feature by feature."""
    cases, features = check_convert(src, src_maps, dst, dst_maps)
    return dev.parallel(
        _convert, cases, src.reshape(cases, features), channels_in_turn(src_maps), dst.reshape(cases, features),
        channels_in_turn(dst_maps), accumulate, Scratch((features,), src.dtype),
    )  # fmt: skip


@kernel
def _convert(
    start: int, stop: int, src: Array, src_channels: int, dst: Array, dst_channels: int, accumulate: bool,
    ordered: Array,
) -> None:  # fmt: skip
    """Items are cases. One channel means feature order."""
    features = src.shape[1]
    for case in range(start, stop):
        if src_channels == dst_channels:
            _transpose(src[case], 1, dst[case], accumulate)
        elif src_channels == 1:
            _transpose(src[case], features // dst_channels, dst[case], accumulate)
        elif dst_channels == 1:
            _transpose(src[case], src_channels, dst[case], accumulate)
        else:
            _transpose(src[case], src_channels, ordered, False)
            _transpose(ordered, features // dst_channels, dst[case], accumulate)


@kernel
def _transpose(src: Array, columns: int, dst: Array, accumulate: bool) -> None:
    """dst (columns, rows) (+)= the transpose of src (rows, columns)."""
    rows = src.size // columns
    for top in range(0, rows, _TILE):
        for left in range(0, columns, _TILE):
            for column in range(left, min(left + _TILE, columns)):
                target = dst[column * rows : (column + 1) * rows]
                for row in range(top, min(top + _TILE, rows)):
                    value = src[row * columns + column]
                    target[row] = target[row] + value if accumulate else value
