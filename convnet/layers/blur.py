"""The layer that blurs images."""

from __future__ import annotations

from typing import Any

from convnet.config.keys import Key
from convnet.config.kinds import Choice, Float, Int
from convnet.layers.base import Layer, LayerReport, images
from convnet.layers.emitter import Emitter
from convnet.ops.blur import Blur
from convnet.shape import Maps, Shape


class GaussianBlur(Layer):
    """Blurs each map by a Gaussian, cut to filterSize pixels along each axis and scaled so that its taps add up to 1.

    Outside the image there are zeros: edges grow darker.
    """

    type = "blur"
    keys = (
        Key("channels", Int(minimum=1), "channels of the input"),
        Key("filterSize", Choice("3", "5", "7", "9"), "pixels along each axis that the Gaussian covers"),
        Key("stdev", Float(above=0), "standard deviation of the Gaussian in pixels"),
    )

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.maps: Maps
        self.blur = Blur(int(self.values["filterSize"]), self.values["stdev"])

    def output_shape(self, report: LayerReport) -> Shape | None:
        """The input's maps."""
        maps = images(self, 0, self.values["channels"], report)
        if maps is None:
            return None
        if self.blur.size > min(maps.y, maps.x):
            wanted = f"at most the image's side, {min(maps.y, maps.x)}"
            report.error(f"expected {wanted}, found {self.blur.size}", "filterSize")
        self.maps = maps
        return Shape.of_maps(*maps)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass over the input."""
        plan.emit("blur.apply", plan.input(0, self.maps), plan.output(), self.blur, accumulate=False)

    def bprop(self, plan: Emitter) -> None:
        """The gradient, blurred by the same taps: they are symmetric."""
        below = plan.input_grad(0, self.maps)
        if below is not None:
            plan.emit("blur.apply", plan.output_grad(), below.tensor, self.blur, accumulate=below.accumulate)
