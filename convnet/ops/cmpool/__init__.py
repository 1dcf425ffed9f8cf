"""Pooling across maps: each output is the maximum of neighbouring channels of its pixel.

Output o of a pixel covers the channels start + o*stride .. + size, clipped to those there are.

    fprop   y = max of the window
    bprop   every input equal to y receives the full dy (ties are not divided)

A window without any channel gives 0. Channels that no window covers have the gradient 0. A NaN in a window makes its
maximum NaN.

x, dx: (n, y, x, channel). y, dy: (n, y, x, outputs).

    fprop_max(dev, x, y, windows)
    bprop_max(dev, dy, x, y, dx, windows, *, accumulate)

A wrong shape raises ValueError.

Source: cuda-convnet2 (convCrossMapMaxPool, convCrossMapMaxPoolUndo in conv_util.cu).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ChannelWindows:
    """The windows: `size` channels each, `stride` channels apart, the first one from channel `start`."""

    size: int
    stride: int
    start: int


def check_shapes(inputs: list[Any], outputs: list[Any]) -> None:
    """Raises ValueError unless the arrays of each list have one shape, and all have the same cases and pixels."""
    pixels = {array.shape[:-1] for array in (*inputs, *outputs)}
    if len(pixels) > 1 or any(len({array.shape for array in arrays}) > 1 for arrays in (inputs, outputs)):
        raise ValueError(f"cmpool: arrays differ: {[array.shape for array in (*inputs, *outputs)]}")
