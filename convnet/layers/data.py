"""The data layer: where minibatches come in."""

from __future__ import annotations

from convnet.config.keys import Ignored, Key
from convnet.config.kinds import Int
from convnet.layers.base import Layer, LayerReport
from convnet.layers.emitter import Emitter
from convnet.shape import Shape


class Data(Layer):
    """One of the data provider's matrices: 0 is the images, 1 the labels."""

    type = "data"
    inputs_range = (0, 0)
    takes_neuron = False
    keys = (Key("dataIdx", Int(minimum=0), "which of the provider's matrices: 0 images, 1 labels"),)
    ignored = (
        Ignored("start", "the layer takes the whole matrix", harmless=(0,)),
        Ignored("end", "the layer takes the whole matrix", harmless=()),
    )

    def output_shape(self, report: LayerReport) -> Shape | None:
        """The provider's shape, which the graph has put into `input_shapes`: one item for each of its matrices."""
        index = int(self.values["dataIdx"])
        if index >= len(self.input_shapes):
            report.error(
                f"expected less than {len(self.input_shapes)}, the number of matrices the data has; found {index}",
                "dataIdx",
            )
            return None
        return self.input_shapes[index]

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Nothing to compute: the net writes the minibatch into the output."""

    def bprop(self, plan: Emitter) -> None:
        """Nothing lies below."""
