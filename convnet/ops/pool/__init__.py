"""Pooling: each output is one number for a window of its own map: a maximum, an average or a sum.

Output (oy, ox) of a map covers the rows start + oy*stride .. + size and the columns start + ox*stride .. + size,
clipped to the image. Windows may overlap or leave gaps, and may begin outside the image (start < 0).

    max:     y = max of the window
    maxabs:  y = the element whose absolute value is largest, with its sign; of a number and its negative the positive
    avg:     y = mean of the window, divided by the number of pixels left after clipping
    sum:     y = sum of the window

bprop_max is the gradient of max and of maxabs: every input equal to y receives the full dy (ties are not divided).

A window that is wholly outside the image gives 0. Pixels that no window covers have the gradient 0. A NaN in a window
makes its maximum NaN.

x, dx: (n, y, x, channel) of `geometry.maps`. y, dy: (n, outputs_y, outputs_x, channel).

    fprop_max, fprop_maxabs, fprop_avg, fprop_sum(dev, x, y, geometry)
    bprop_max(dev, dy, x, y, dx, geometry, *, accumulate)
    bprop_avg, bprop_sum(dev, dy, dx, geometry, *, accumulate)

Source: cuda-convnet (convLocalPool, convLocalMaxUndo, convLocalAvgUndo in conv_util.cu); cuda-convnet2 has maxabs and
sum.
"""

from __future__ import annotations

from dataclasses import dataclass

from convnet.shape import Maps


@dataclass(frozen=True)
class PoolGeometry:
    """The windows of a pooling layer: `maps` are the input's, all other numbers are pixels or outputs."""

    maps: Maps
    size: int
    stride: int
    start: int
    outputs_y: int
    outputs_x: int

    @property
    def output(self) -> Maps:
        """The maps that the layer puts out."""
        return Maps(self.maps.channels, self.outputs_y, self.outputs_x)


def outputs(image: int, size: int, stride: int, start: int) -> int:
    """How many windows cover an image of `image` pixels along one axis: the last one may hang over the edge."""
    return -((start + size - image) // stride) + 1
