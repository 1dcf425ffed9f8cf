"""The fully-connected layer."""

from __future__ import annotations

from convnet.config.keys import Key
from convnet.config.kinds import Int
from convnet.layers.base import LayerReport
from convnet.layers.emitter import Emitter
from convnet.layers.weight_layer import WeightLayer
from convnet.shape import Shape
from convnet.weights.parameter import Matrix


class FullyConnected(WeightLayer):
    """Every output is a weighted sum of all inputs: y = sum over inputs of x W, plus biases. W is (inputs, outputs)."""

    type = "fc"
    keys = (Key("outputs", Int(minimum=1), "number of outputs"), *WeightLayer.init_keys)

    def output_shape(self, report: LayerReport) -> Shape | None:
        """As many features as the file says."""
        return Shape(int(self.values["outputs"]))

    @property
    def weights(self) -> list[Matrix]:
        """(features of the input, outputs) for each input."""
        return [Matrix(shape.features, self.shape.features) for shape in self.input_shapes]

    @property
    def biases(self) -> Matrix:
        """(1, outputs)."""
        return Matrix(1, self.shape.features)

    def _fprop_input(self, plan: Emitter, index: int, **last: object) -> None:
        plan.emit("matmul.fprop", plan.input(index, None), plan.weights(index), y=plan.output(), **last)

    def _bprop_input(self, plan: Emitter, index: int) -> None:
        gradient = plan.output_grad()
        weights = plan.weights_grad(index)
        if weights is not None:
            plan.emit("matmul.bprop_weights", plan.input(index, None), gradient, weights.tensor,
                      accumulate=weights.accumulate)  # fmt: skip
        below = plan.input_grad(index, None)
        if below is not None:
            plan.emit("matmul.bprop_acts", gradient, plan.weights(index), below.tensor, accumulate=below.accumulate)
