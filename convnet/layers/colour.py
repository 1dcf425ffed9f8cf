"""Layers that turn RGB images into other colour spaces: rgb2yuv and rgb2lab."""

from __future__ import annotations

from typing import Any, ClassVar

from convnet.config.keys import Key
from convnet.config.kinds import Bool, Choice
from convnet.layers.base import Layer, LayerReport
from convnet.layers.emitter import Emitter
from convnet.shape import Maps, Shape

CHANNELS = Key("channels", Choice("3"), "channels of the input: red, green and blue", default="3")


class ColourLayer(Layer):
    """Reads and puts out three maps; has no gradient."""

    passes_gradient = False
    keys: ClassVar[tuple[Key, ...]] = (CHANNELS,)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.maps: Maps

    def output_shape(self, report: LayerReport) -> Shape | None:
        """The input's, which must be three maps."""
        shape = self.input_shapes[0]
        maps = shape.maps or shape.square_maps(3)
        if maps is None or maps.channels != 3:
            found = shape.maps or f"{shape.features} features"
            report.error(f"expected images of 3 channels (RGB), found '{self.inputs[0]}' of {found}", "inputs")
            return None
        self.maps = maps
        return Shape.of_maps(*maps)

    def bprop(self, plan: Emitter) -> None:
        """Nothing: no weights that learn are below."""


class RGBToYUV(ColourLayer):
    """Turns RGB images into YUV. No gradient passes: there may be no weights that learn below it."""

    type = "rgb2yuv"

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass over the input."""
        plan.emit("rgb.to_yuv", plan.input(0, self.maps), plan.output())


class RGBToLAB(ColourLayer):
    """Turns RGB images, with values from 0 to 1, into CIE Lab: L from 0 to 100.

    No gradient passes: there may be no weights that learn below it.
    """

    type = "rgb2lab"
    keys = (CHANNELS, Key("center", Bool(), "take 50 from L, so that it goes from -50 to 50", default=False),)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass over the input."""
        plan.emit("rgb.to_lab", plan.input(0, self.maps), plan.output(), center=self.values["center"])
