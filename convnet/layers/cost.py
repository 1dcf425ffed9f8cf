"""Cost layers: what training makes small."""

from __future__ import annotations

from typing import ClassVar

from convnet.config.keys import Ignored, Key
from convnet.config.kinds import Float, Int
from convnet.layers.base import Layer, LayerReport
from convnet.layers.emitter import Emitter
from convnet.layers.softmax import Softmax
from convnet.shape import Shape


class CostLayer(Layer):
    """A sum over all cases of a number to be made small. `metrics` names the numbers it gives, the cost first."""

    is_cost = True
    takes_neuron = False
    metrics: ClassVar[tuple[str, ...]] = ("cost",)
    params: ClassVar[tuple[Key, ...]] = (Key("coeff", Float(), "factor of the cost's gradient", default=1.0),)
    ignored: ClassVar[tuple[Ignored, ...]] = (
        Ignored("children", "every cost is given by itself", harmless=()),
    )

    @property
    def coefficient(self) -> float:
        """The factor of the gradient (the printed cost is without it)."""
        return float(self.learning["coeff"])


class LogisticRegression(CostLayer):
    """The negative log-probability of the right label: inputs are the labels and a softmax layer.

    Also counts errors: a case is wrong as far as its label is not the most probable one (with ties, in part), and a
    top-k error as far as it is not among the `topk` most probable.
    """

    type = "cost.logreg"
    inputs_range = (2, 2)
    metrics = ("cost", "error", "topk_error")
    params = (
        *CostLayer.params,
        Key("topk", Int(minimum=1), "how many guesses the second error count allows", default=1),
    )
    label_inputs = (0,)
    softmax: Softmax | None = None

    def output_shape(self, report: LayerReport) -> Shape | None:
        """None: costs have no outputs."""
        labels, probabilities = self.input_shapes
        if labels.features != 1:
            found = f"'{self.inputs[0]}' has {labels.features}"
            report.error(f"expected labels of 1 number as first input, {found}", "inputs")
            return None
        if self.softmax is None:
            report.error(f"expected a softmax layer as second input, found '{self.inputs[1]}'", "inputs")
            return None
        topk = self.learning["topk"]
        if topk > probabilities.features:
            report.error(f"expected at most the {probabilities.features} classes, found {topk}", "topk")
            return None
        return Shape(0)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Cost and errors of each case."""
        labels, probabilities = plan.input(0, None), plan.input(1, None)
        plan.emit("logreg.fprop", labels, probabilities, plan.costs(len(self.metrics)), topk=self.learning["topk"])

    def bprop(self, plan: Emitter) -> None:
        """The gradient of the softmax's input if this is its only consumer, of its output otherwise."""
        below = plan.input_grad(1, None)
        if below is not None:
            merged = self.softmax is not None and self.softmax.merged
            plan.emit("logreg.bprop_softmax" if merged else "logreg.bprop", plan.input(0, None), plan.input(1, None),
                      below.tensor, coeff=self.coefficient, accumulate=below.accumulate)  # fmt: skip


class SumOfSquares(CostLayer):
    """The sum of the squares of all inputs (without a factor 1/2)."""

    type = "cost.sum2"

    def output_shape(self, report: LayerReport) -> Shape | None:
        """None: costs have no outputs."""
        return Shape(0)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """The sum for each case."""
        plan.emit("sum2.fprop", plan.input(0, None), plan.costs(len(self.metrics)))

    def bprop(self, plan: Emitter) -> None:
        """2 x."""
        below = plan.input_grad(0, None)
        if below is not None:
            plan.emit("sum2.bprop", plan.input(0, None), below.tensor, coeff=self.coefficient,
                      accumulate=below.accumulate)  # fmt: skip
