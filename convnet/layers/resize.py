"""Layers that resize images: resize and rscale."""

from __future__ import annotations

import math
from typing import Any

from convnet.config.keys import Key
from convnet.config.kinds import Float, Int
from convnet.layers.base import Layer, LayerReport, images
from convnet.layers.emitter import Emitter
from convnet.shape import Maps, Shape

CHANNELS = Key("channels", Int(minimum=1), "channels of the input")


class ResizeLayer(Layer):
    """Reads images and puts out images of another size; has no gradient."""

    passes_gradient = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.maps: Maps

    def _resize(self, plan: Emitter, scale: float) -> None:
        plan.emit("resize.fprop", plan.input(0, self.maps), plan.output(), scale=scale)

    def bprop(self, plan: Emitter) -> None:
        """Nothing: no weights that learn are below."""


class Resize(ResizeLayer):
    """Resizes images, bilinearly: each axis has floor(pixels / scale) pixels then, the centre stays in the centre.

    No gradient passes: there may be no weights that learn below it.
    """

    type = "resize"
    keys = (
        CHANNELS,
        Key("scale", Float(minimum=0.5, maximum=2), "size of the input divided by that of the output"),
    )

    def output_shape(self, report: LayerReport) -> Shape | None:
        """As many maps as the input has, smaller or larger."""
        maps, scale = images(self, 0, self.values["channels"], report), self.values["scale"]
        if maps is None:
            return None
        rows, columns = math.floor(maps.y / scale), math.floor(maps.x / scale)
        if min(rows, columns) < 1:
            report.error(f"expected at most the image's side, {min(maps.y, maps.x)}, found {scale:g}", "scale")
            return None
        self.maps = maps
        return Shape.of_maps(maps.channels, rows, columns)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass over the output."""
        self._resize(plan, self.values["scale"])


class RandomScale(ResizeLayer):
    """In training each case is resized to a random smaller size and cropped to tgtSize x tgtSize at a random place.

    All crops of all sizes, from tgtSize to the image's own, are equally likely; each case and minibatch draws its own.
    Testing resizes by maxScale and takes the centre. No gradient passes: there may be no weights that learn below it.
    """

    type = "rscale"
    keys = (
        CHANNELS,
        Key("maxScale", Float(minimum=1, maximum=2), "by how much images are made smaller at most, and in testing"),
        Key("tgtSize", Int(minimum=1), "side of the output in pixels, from the image's shorter side / maxScale to that "
            "side; default: the smallest", default=None),
    )  # fmt: skip

    def output_shape(self, report: LayerReport) -> Shape | None:
        """As many maps as the input has, square ones."""
        maps = images(self, 0, self.values["channels"], report)
        if maps is None:
            return None
        self.maps, most = maps, min(maps.y, maps.x)
        least = max(1, math.floor(most / self.values["maxScale"]))
        side = least if self.values["tgtSize"] is None else self.values["tgtSize"]
        if not least <= side <= most:
            wanted = f"{least} to {most}, the image's shorter side divided by 1 to maxScale"
            report.error(f"expected {wanted}, found {side}", "tgtSize")
            return None
        return Shape.of_maps(maps.channels, side, side)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Draw and show the crops; in testing, the centre."""
        if training:
            plan.emit("resize.random_crop", plan.input(0, self.maps), plan.output(), **plan.dropout_stream())
        else:
            self._resize(plan, self.values["maxScale"])
