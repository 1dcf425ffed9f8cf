"""Dropout, in the two forms of cuda-convnet2."""

from __future__ import annotations

from convnet.config.keys import Key
from convnet.config.kinds import Bool, Float
from convnet.layers.base import Layer, LayerReport
from convnet.layers.emitter import Emitter
from convnet.shape import Shape


class DropoutLayer(Layer):
    """In training each number is kept with probability `keep` and set to 0 otherwise, anew in every minibatch."""

    params = (
        Key("keep", Float(above=0, maximum=1), "probability that a number is kept", default=0.5, in_layers=True),
        Key("enable", Bool(), "false: training does what testing does", default=True),
    )

    def _training_scale(self) -> float:
        return 1.0

    def _test_scale(self) -> float:
        return 1.0

    def output_shape(self, report: LayerReport) -> Shape | None:
        """The input's."""
        return self.input_shapes[0]

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Draw and apply the mask; in testing, scale."""
        source, output = plan.input(0, self.shape.maps), plan.output()
        if training and self.learning["enable"]:
            plan.emit("dropout.apply", source, output, keep=self.learning["keep"], scale=self._training_scale(),
                      accumulate=False, **plan.dropout_stream())  # fmt: skip
        else:
            plan.emit("eltwise.scale", source, output, coeff=self._test_scale(), accumulate=False)

    def bprop(self, plan: Emitter) -> None:
        """The same mask, drawn again, on the gradient."""
        below = plan.input_grad(0, self.shape.maps)
        if below is None:
            return
        if self.learning["enable"]:
            plan.emit("dropout.apply", plan.output_grad(), below.tensor, keep=self.learning["keep"],
                      scale=self._training_scale(), accumulate=below.accumulate, **plan.dropout_stream())  # fmt: skip
        else:
            plan.emit("eltwise.scale", plan.output_grad(), below.tensor, coeff=self._test_scale(),
                      accumulate=below.accumulate)  # fmt: skip


class Dropout(DropoutLayer):
    """Inverted dropout: what is kept in training is divided by `keep`; testing changes nothing."""

    type = "dropout"

    def _training_scale(self) -> float:
        return 1.0 / float(self.learning["keep"])


class Dropout2(DropoutLayer):
    """The paper's dropout: training keeps numbers as they are, testing multiplies all by `keep`."""

    type = "dropout2"
    aliases = ("hs",)  # in 2012

    def _test_scale(self) -> float:
        return float(self.learning["keep"])
