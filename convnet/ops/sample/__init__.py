"""Some pixels of each image, in an order of their own: the layers nailbed, crop and href.

    y[oy, ox] = x[start_y + oy step_y, start_x + ox step_x]        each channel by itself

A step below 0 goes through the image backwards. Every pixel is taken at most once: its gradient is that of its output,
or 0.

x, dx: (n, y, x, channel) of `geometry.maps`. y, dy: (n, outputs_y, outputs_x, channel).

    fprop(dev, x, y, geometry)                      y = these pixels of x
    bprop(dev, dy, dx, geometry, *, accumulate)     dx (+)= dy at these pixels

Source: cuda-convnet2 (convBedOfNails, convCrop, convReflectHorizontal in conv_util.cu).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convnet.shape import Maps


@dataclass(frozen=True)
class SampleGeometry:
    """Which pixels are taken: `maps` are the input's, all other numbers are pixels or outputs.

    Raises ValueError if a pixel is outside the image or a step is 0.
    """

    maps: Maps
    start_y: int
    start_x: int
    step_y: int
    step_x: int
    outputs_y: int
    outputs_x: int

    def __post_init__(self) -> None:
        along_y = (self.start_y, self.step_y, self.outputs_y, self.maps.y)
        along_x = (self.start_x, self.step_x, self.outputs_x, self.maps.x)
        for start, step, outputs, image in (along_y, along_x):
            last = start + (outputs - 1) * step
            if not step or outputs < 1 or not (0 <= start < image and 0 <= last < image):
                raise ValueError(f"sample: {outputs} pixels from {start} in steps of {step} are not in {image} pixels")

    @property
    def output(self) -> Maps:
        """The maps that are put out."""
        return Maps(self.maps.channels, self.outputs_y, self.outputs_x)

    def check(self, below: Any, above: Any) -> None:
        """Raises ValueError unless these arrays of any backend have the shapes of x and y, for equally many cases."""
        for maps, array in ((self.maps, below), (self.output, above)):
            expected = (len(below), maps.y, maps.x, maps.channels)
            if array.shape != expected:
                raise ValueError(f"sample: expected an array of shape {expected}, found {array.shape}")
