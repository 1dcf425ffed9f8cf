"""The Cauchy cost."""

from __future__ import annotations

from convnet.config.keys import Ignored
from convnet.layers.cross_entropy import MatrixCost
from convnet.layers.emitter import Emitter


class Cauchy(MatrixCost):
    """The cost sum log(1 + (y - t)^2) of targets t and as many numbers y: numbers far from their targets count little.

    Inputs are the targets, such as the label matrix (dataIdx=2), which get no gradient, and the numbers, such as those
    of a logistic neuron.
    """

    type = "cost.cauchy"
    aliases = ("cost.rflickr",)  # in 2012
    ignored = (Ignored("topk", "only cost.logreg counts top-k errors"),)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """The cost of each case."""
        size = self.input_shapes[1].features
        targets, outputs = (plan.input(index, self.maps).view(size) for index in (0, 1))
        plan.emit("cauchy.fprop", targets, outputs, plan.costs(len(self.metrics)))

    def bprop(self, plan: Emitter) -> None:
        """The gradient of the numbers."""
        below, size = plan.input_grad(1, self.maps), self.input_shapes[1].features
        if below is not None:
            targets, outputs = (plan.input(index, self.maps).view(size) for index in (0, 1))
            plan.emit("cauchy.bprop", targets, outputs, below.tensor.view(size), coeff=self.coefficient,
                      accumulate=below.accumulate)  # fmt: skip
