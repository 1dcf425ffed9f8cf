"""Pooling across maps."""

from __future__ import annotations

from typing import Any

from convnet.config.keys import Key
from convnet.config.kinds import Choice, Int
from convnet.layers.base import Layer, LayerReport, images
from convnet.layers.emitter import Emitter
from convnet.ops.cmpool import ChannelWindows
from convnet.ops.pool import outputs
from convnet.shape import Maps, Shape


class CrossMapPool(Layer):
    """The maximum over neighbouring maps, pixel by pixel.

    Window o covers channels start + o*stride up to size more, clipped to those there are; together the windows cover
    all of them. Every input equal to the maximum receives the gradient.
    """

    type = "cmpool"
    reads_own_output = True
    keys = (
        Key("pool", Choice("max"), "what is taken of each window"),
        Key("channels", Int(minimum=1), "channels of the input"),
        Key("size", Int(minimum=1), "channels in a window, at most those of the input"),
        Key("stride", Int(minimum=1), "distance of neighbouring windows in channels, at most size"),
        Key("start", Int(maximum=0), "the channel where the first window begins; below 0 is before the first",
            default=0),
        Key("outputs", Int(minimum=0), "channels of the output; 0: as many as cover all of the input", default=0),
    )  # fmt: skip

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.maps = Maps(0, 0, 0)
        self.windows: ChannelWindows

    def output_shape(self, report: LayerReport) -> Shape | None:
        """A map for each window, as large as the input's."""
        maps = images(self, 0, self.values["channels"], report)
        if maps is None:
            return None
        key, problem = self._problem(maps.channels)
        if problem:
            report.error(problem, key)
            return None
        size, stride, start = (self.values[key] for key in ("size", "stride", "start"))
        windows = self.values["outputs"] or outputs(maps.channels, size, stride, start)
        self.maps, self.windows = maps, ChannelWindows(size, stride, start)
        return Shape.of_maps(windows, maps.y, maps.x)

    def _problem(self, channels: int) -> tuple[str, str]:
        """The key that is wrong and what was expected; empty if the windows fit."""
        size, stride, start, forced = (self.values[key] for key in ("size", "stride", "start", "outputs"))
        if size > channels:
            return "size", f"expected at most the number of channels, {channels}, found {size}"
        if stride > size:
            return "stride", f"expected at most size, {size}, found {stride}"
        if start <= -size:
            return "start", f"expected more than -{size}, so that the first window has a channel; found {start}"
        last = start + (forced - 1) * stride
        if forced and last + size < channels:
            fewest, covers = outputs(channels, size, stride, start), f"covers only {last + size} of {channels} channels"
            return "outputs", f"expected at least {fewest}, found {forced}, which {covers}"
        if forced and last >= channels:
            most = (channels - start - 1) // stride + 1
            return "outputs", f"expected at most {most}, so that the last window has a channel; found {forced}"
        return "", ""

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass over the input."""
        plan.emit("cmpool.fprop_max", plan.input(0, self.maps), plan.output(), self.windows)

    def bprop(self, plan: Emitter) -> None:
        """The gradient of each output goes to its maximum."""
        below = plan.input_grad(0, self.maps)
        if below is not None:
            plan.emit("cmpool.bprop_max", plan.output_grad(), plan.input(0, self.maps), plan.output(), below.tensor,
                      self.windows, accumulate=below.accumulate)  # fmt: skip
