"""Which pixels a window covers, and which windows cover a pixel; for use inside kernels."""

from __future__ import annotations

from typing import NamedTuple

from convnet.backends.cpu.jit import inlined


class Pool(NamedTuple):
    """A PoolGeometry as kernels take it; `first`: where the first window begins."""

    channels: int
    height: int
    width: int
    outputs_y: int
    outputs_x: int
    size: int
    stride: int
    first: int


@inlined
def window(output: int, size: int, stride: int, first: int, image: int) -> tuple[int, int]:
    """The first pixel in the window of `output` and the one behind its last, clipped to the image; equal if none."""
    begin = first + output * stride
    low = min(max(begin, 0), image)
    return low, max(low, min(begin + size, image))


@inlined
def covering(pixel: int, size: int, stride: int, first: int, outputs: int) -> tuple[int, int]:
    """The first output whose window covers `pixel` and the one behind the last; not in order if there is none."""
    begin = (pixel - first - size) // stride + 1
    end = (pixel - first) // stride + 1
    return max(begin, 0), min(end, outputs)
