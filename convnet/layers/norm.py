"""The response normalizations: within a map, across maps, and with local contrast."""

from __future__ import annotations

from typing import Any, ClassVar

from convnet.config.keys import Key
from convnet.config.kinds import Bool, Float, Int
from convnet.layers.base import Layer, LayerReport, images
from convnet.layers.emitter import Emitter
from convnet.ops.rnorm import Normalization
from convnet.shape import Maps, Shape


class NormLayer(Layer):
    """Divides each input by (minDiv + alpha * sum of squares around it)^pow. `size` is the window's side.

    The window of position i is i - size/2 ... i - size/2 + size - 1, rounded down and clipped.
    """

    needs_params = True
    keys: ClassVar[tuple[Key, ...]] = (
        Key("channels", Int(minimum=1), "channels of the input"),
        Key("size", Int(minimum=1), "side of the window", aliases=("sizeX",)),
    )
    params = (
        Key("scale", Float(), "the sum of squares is multiplied by scale / (numbers in a window)", in_layers=True),
        Key("pow", Float(), "the exponent of the denominator", in_layers=True),
        Key("minDiv", Float(above=0), "what the sum of squares is added to", default=1.0, in_layers=True),
    )

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.maps = Maps(0, 0, 0)

    def output_shape(self, report: LayerReport) -> Shape | None:
        """The input's."""
        maps = images(self, 0, self.values["channels"], report)
        if maps is None:
            return None
        limit, what = self._limit(maps)
        if self.values["size"] > limit:
            report.error(f"expected at most {what}, {limit}, found {self.values['size']}", "size")
            return None
        self.maps = maps
        return Shape.of_maps(*maps)

    def _limit(self, maps: Maps) -> tuple[int, str]:
        return min(maps.y, maps.x), "the image's side"

    @property
    def normalization(self) -> Normalization:
        """The parameters, with scale divided by the number of elements in a window."""
        size = self.values["size"]
        return Normalization(size, self.learning["scale"] / size**2, self.learning["pow"], self.learning["minDiv"])

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass."""
        plan.emit(f"{self.type}.fprop", plan.input(0, self.maps), plan.output(), self.normalization)

    def bprop(self, plan: Emitter) -> None:
        """One pass; denominators are computed anew."""
        below = plan.input_grad(0, self.maps)
        if below is not None:
            plan.emit(f"{self.type}.bprop", plan.output_grad(), plan.input(0, self.maps), below.tensor,
                      self.normalization, accumulate=below.accumulate)  # fmt: skip


class ResponseNorm(NormLayer):
    """Response normalization within each map: the window is a square of `size` x `size` pixels."""

    type = "rnorm"


class ContrastNorm(NormLayer):
    """Contrast normalization: as rnorm, but the squares are of the differences from the window's mean."""

    type = "cnorm"


class CrossMapNorm(NormLayer):
    """Response normalization across maps: the window is `size` neighbouring maps at the same pixel.

    This is the AlexNet paper's: k = minDiv, n = size, its alpha = scale / size, beta = pow.
    """

    type = "cmrnorm"
    keys = (
        *NormLayer.keys,
        Key("blocked", Bool(), "windows are blocks of `size` maps that do not overlap", default=False),
    )

    def _limit(self, maps: Maps) -> tuple[int, str]:
        return maps.channels, "the number of channels"

    @property
    def normalization(self) -> Normalization:
        """The parameters, with scale divided by the number of maps in a window."""
        size, of = self.values["size"], self.learning
        return Normalization(size, of["scale"] / size, of["pow"], of["minDiv"], self.values["blocked"])
