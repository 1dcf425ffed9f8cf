"""The data layer: where minibatches come in."""

from __future__ import annotations

from convnet.config.keys import Ignored, Key
from convnet.config.kinds import Int
from convnet.layers.base import Layer, LayerReport
from convnet.layers.emitter import Emitter
from convnet.shape import Shape

LABEL_MATRIX = 2  # its dataIdx


class Data(Layer):
    """One of the data provider's matrices: 0 is the images, 1 the labels, 2 the label matrix (1 for a case's class).

    With `start` and `end` the layer takes the rows start to end - 1 of the matrix, whose rows are in feature order: all
    of a channel after each other. Whole channels are maps again, other rows are plain features.
    """

    type = "data"
    inputs_range = (0, 0)
    takes_neuron = False
    keys = (
        Key("dataIdx", Int(minimum=0), "which of the provider's matrices: 0 images, 1 labels, 2 the label matrix"),
        Key("start", Int(minimum=0), "first row of the matrix to take", default=0),
        Key("end", Int(minimum=1), "row before which to stop; default: the number of rows", default=None),
    )
    ignored = (Ignored("gpu", "a data layer has no device of its own; those of the layers that read it get the data"),)

    @property
    def source(self) -> Shape:
        """The shape of the whole matrix."""
        return self.input_shapes[int(self.values["dataIdx"])]

    @property
    def rows(self) -> tuple[int, int]:
        """The first row taken, and the one before which to stop."""
        end = self.values["end"]
        return self.values["start"], self.source.features if end is None else end

    def output_shape(self, report: LayerReport) -> Shape | None:
        """What is taken of the provider's shape, which the graph has put into `input_shapes`: one for each matrix."""
        index = int(self.values["dataIdx"])
        if index >= len(self.input_shapes):
            unknown = index == LABEL_MATRIX == len(self.input_shapes)
            hint = ", as long as nothing (--classes) tells the number of classes" if unknown else ""
            wanted = f"less than {len(self.input_shapes)}, the number of matrices the data has{hint}"
            report.error(f"expected {wanted}; found {index}", "dataIdx")
            return None
        start, end = self.rows
        if end > self.source.features:
            report.error(f"expected at most {self.source.features}, the rows of the matrix, found {end}", "end")
            return None
        if start >= end:
            report.error(f"expected a row before {end}, where the layer's rows end, found {start}", "start")
            return None
        return self._taken()

    @property
    def channels(self) -> tuple[int, int] | None:
        """The rows as the first channel taken and the one before which to stop; None if they are not whole channels."""
        maps = self.source.maps
        if maps is None or any(row % maps.pixels for row in self.rows):
            return None
        start, end = self.rows
        return start // maps.pixels, end // maps.pixels

    def _taken(self) -> Shape:
        start, end = self.rows
        maps, channels = self.source.maps, self.channels
        if (start, end) == (0, self.source.features):
            return self.source
        if maps is None or channels is None:
            return Shape(end - start)
        return Shape.of_maps(channels[1] - channels[0], maps.y, maps.x)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Nothing to compute: the net writes the minibatch into the output."""

    def bprop(self, plan: Emitter) -> None:
        """Nothing lies below."""
