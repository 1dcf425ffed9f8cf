"""Cost layers: what training makes small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from convnet.config.keys import Key
from convnet.config.kinds import Float, Int, Names
from convnet.layers.base import Layer, LayerReport
from convnet.layers.emitter import Emitter
from convnet.layers.softmax import Softmax
from convnet.shape import Shape

Metrics = Mapping[str, float]


class CostLayer(Layer):
    """A sum over all cases of a number to be made small. `metrics` names the numbers it gives, the cost first.

    `below`: the input layers; `children`: the costs whose numbers are added to those of this one when it is reported.
    The graph finds both.
    """

    is_cost = True
    takes_neuron = False
    metrics: ClassVar[tuple[str, ...]] = ("cost",)
    keys: ClassVar[tuple[Key, ...]] = (
        Key("children", Names(), "costs of the same type, earlier in the file, whose printed numbers are added to "
            "those of this one instead of being printed by themselves", default=None),
    )  # fmt: skip
    params: ClassVar[tuple[Key, ...]] = (Key("coeff", Float(), "factor of the cost's gradient", default=1.0),)
    below: Sequence[Layer] = ()
    children: Sequence[CostLayer] = ()

    @property
    def shares(self) -> list[str]:
        """The names of what `report` tells besides averages, and leaves out where it would be 0 / 0."""
        return []

    @property
    def coefficient(self) -> float:
        """The factor of the gradient (the printed cost is without it)."""
        return float(self.learning["coeff"])

    def merges(self, index: int) -> bool:
        """Whether bprop can give the gradient of what lies below input `index` at once, if only this cost reads it."""
        return False

    def report(self, sums: Metrics, cases: int) -> dict[str, float]:
        """What is told of the sums over so many cases, its children's included: averages, if nothing else is said."""
        return {name: value / max(1, cases) for name, value in sums.items()}

    def in_words(self, reported: Metrics, classes: Sequence[str]) -> str:
        """What `report` gave, as it is printed. classes: their names."""
        return ", ".join(f"{name} {value:.4f}" for name, value in reported.items())

    def expect_softmax(self, report: LayerReport) -> bool:
        """Whether the second input is a softmax layer; reports it if not."""
        if not isinstance(self.below[1], Softmax):
            report.error(f"expected a softmax layer as second input, found '{self.inputs[1]}'", "inputs")
        return isinstance(self.below[1], Softmax)


def reported(layers: Sequence[CostLayer], sums: Mapping[str, Metrics], cases: int) -> dict[str, dict[str, float]]:
    """What is told of each cost, by name: children's sums are added to their parents' and not told by themselves.

    layers: children before their parents. sums: of each of the metrics of all layers, over so many cases.
    """
    totals = {name: dict(metrics) for name, metrics in sums.items()}
    for layer in layers:
        for child in layer.children:
            for metric in layer.metrics:
                totals[layer.name][metric] += totals[child.name].get(metric, 0.0)
    inside = {child.name for layer in layers for child in layer.children}
    return {layer.name: layer.report(totals[layer.name], cases) for layer in layers if layer.name not in inside}


def in_words(layers: Sequence[CostLayer], told: Mapping[str, Metrics], classes: Sequence[str]) -> str:
    """`logprob: cost 1.234, error 0.456, top-5 error 0.123` for each cost layer that is told of, as `reported` does."""
    words = (f"{layer.name}: {layer.in_words(told[layer.name], classes)}" for layer in layers if layer.name in told)
    return "; ".join(words)


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
        Key("smoothing", Float(minimum=0, below=1), "share of each label that is spread over all classes: the cost is "
            "the cross-entropy with (1 - smoothing) * label + smoothing / classes, in tests too", default=0.0),
    )  # fmt: skip
    label_inputs = target_inputs = (0,)

    def merges(self, index: int) -> bool:
        """With the softmax."""
        return index == 1

    def output_shape(self, report: LayerReport) -> Shape | None:
        """None: costs have no outputs."""
        labels, probabilities = self.input_shapes
        if labels.features != 1:
            found = f"'{self.inputs[0]}' has {labels.features}"
            report.error(f"expected labels of 1 number as first input, {found}", "inputs")
            return None
        if not self.expect_softmax(report):
            return None
        topk = self.learning["topk"]
        if topk > probabilities.features:
            report.error(f"expected at most the {probabilities.features} classes, found {topk}", "topk")
            return None
        return Shape(0)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Cost and errors of each case."""
        plan.emit("logreg.fprop", plan.input(0, None), plan.input(1, None), plan.costs(len(self.metrics)),
                  topk=self.learning["topk"], smoothing=self.learning["smoothing"])  # fmt: skip

    def bprop(self, plan: Emitter) -> None:
        """The gradient of the softmax's input if this is its only consumer, of its output otherwise."""
        below = plan.input_grad(1, None)
        if below is not None:
            operation = "logreg.bprop_softmax" if self.below[1].merged else "logreg.bprop"
            plan.emit(operation, plan.input(0, None), plan.input(1, None), below.tensor, coeff=self.coefficient,
                      smoothing=self.learning["smoothing"], accumulate=below.accumulate)  # fmt: skip

    def in_words(self, reported: Metrics, classes: Sequence[str]) -> str:
        """The top-k error only where it allows several guesses: top-1 is the error itself."""
        topk = self.learning["topk"]
        names = {"topk_error": f"top-{topk} error"} if topk > 1 else {}
        shown = {names.get(name, name): value for name, value in reported.items() if name != "topk_error" or topk > 1}
        return super().in_words(shown, classes)


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
