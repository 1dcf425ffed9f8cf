"""Layers that put their inputs one behind the other."""

from __future__ import annotations

from convnet.layers.base import UNLIMITED, Layer, LayerReport
from convnet.layers.emitter import Emitter
from convnet.shape import Maps, Shape


class Concatenation(Layer):
    """The features of all inputs, one input after the other; maps of equal size stay maps, with all the channels."""

    type = "concat"
    inputs_range = (1, UNLIMITED)

    def output_shape(self, report: LayerReport) -> Shape | None:
        """All features; maps if every input has maps of the same size."""
        features = sum(shape.features for shape in self.input_shapes)
        maps = [shape.maps for shape in self.input_shapes if shape.maps]
        if len(maps) < len(self.inputs) or len({(m.y, m.x) for m in maps}) > 1:
            return Shape(features)
        return Shape.of_maps(sum(m.channels for m in maps), maps[0].y, maps[0].x)

    def _parts(self) -> list[tuple[int, Maps | None, int, int]]:
        """Of each input: its index, the maps it is read as, its columns and the first of them."""
        maps = [shape.maps if self.shape.maps else None for shape in self.input_shapes]
        widths = [m.channels if m else s.features for m, s in zip(maps, self.input_shapes, strict=True)]
        return [(i, maps[i], width, sum(widths[:i])) for i, width in enumerate(widths)]

    @property
    def _columns(self) -> int:
        return self.shape.maps.channels if self.shape.maps else self.shape.features

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Copy each input to its columns."""
        for index, maps, width, offset in self._parts():
            source = plan.input(index, maps).rows(width)
            plan.emit("concat.fprop", source, plan.output().rows(self._columns), offset=offset)

    def bprop(self, plan: Emitter) -> None:
        """Copy each input's columns of the gradient back."""
        for index, maps, width, offset in self._parts():
            below = plan.input_grad(index, maps)
            if below is not None:
                gradient = plan.output_grad().rows(self._columns)
                plan.emit("concat.bprop", gradient, below.tensor.rows(width), offset=offset,
                          accumulate=below.accumulate)  # fmt: skip


class Pass(Concatenation):
    """As concat: the originals' `pass` did the same without a copy and marked where replicas meet."""

    type = "pass"
