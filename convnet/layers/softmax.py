"""The softmax layer."""

from __future__ import annotations

from convnet.layers.base import Layer, LayerReport
from convnet.layers.emitter import Emitter
from convnet.shape import Shape


class Softmax(Layer):
    """Probabilities: y_i = e^x_i / sum_j e^x_j, the maximum subtracted first.

    Below a cost.logreg or cost.crossent alone, the cost gives the gradient of the softmax's input at once, as
    (probability - target).
    """

    type = "softmax"
    reads_own_output = True

    def output_shape(self, report: LayerReport) -> Shape | None:
        """One probability for each input."""
        return Shape(self.input_shapes[0].features)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass."""
        plan.emit("softmax.fprop", plan.input(0, None), plan.output())

    def bprop(self, plan: Emitter) -> None:
        """dx_i = y_i * (dy_i - sum_j dy_j y_j); the gradient itself where the cost has done this already."""
        below = plan.input_grad(0, None)
        if below is None:
            return
        if self.merged:
            plan.emit("eltwise.scale", plan.output_grad(), below.tensor, coeff=1.0, accumulate=below.accumulate)
        else:
            plan.emit("softmax.bprop", plan.output_grad(), plan.output(), below.tensor, accumulate=below.accumulate)
