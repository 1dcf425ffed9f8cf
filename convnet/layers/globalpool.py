"""Pooling over whole images."""

from __future__ import annotations

from convnet.config.keys import Key
from convnet.config.kinds import Choice, Int
from convnet.layers.base import LayerReport, images
from convnet.layers.pool import PoolingLayer
from convnet.ops.pool import PoolGeometry
from convnet.shape import Shape


class GlobalPool(PoolingLayer):
    """The maximum or the average of each whole map: one number for each channel. The image may be of any size.

    Every input equal to the maximum receives the gradient.
    """

    type = "globalpool"
    keys = (
        Key("pool", Choice("max", "avg"), "what is taken of each map"),
        Key("channels", Int(minimum=1), "channels of the input"),
    )

    def output_shape(self, report: LayerReport) -> Shape | None:
        """As many maps as the input has, of one pixel."""
        maps = images(self, 0, self.values["channels"], report)
        if maps is None:
            return None
        side = max(maps.y, maps.x)  # the window is clipped to the image
        self.geometry = PoolGeometry(maps, size=side, stride=side, start=0, outputs_y=1, outputs_x=1)
        return Shape.of_maps(maps.channels, 1, 1)
