"""Costs whose targets are a matrix: cross-entropy of one choice, and of many independent ones."""

from __future__ import annotations

from collections.abc import Sequence

from convnet.config.keys import Ignored, Key
from convnet.config.kinds import Float
from convnet.layers.base import LayerReport
from convnet.layers.cost import CostLayer, Metrics
from convnet.layers.emitter import Emitter
from convnet.layers.neuron import Neuron
from convnet.shape import Maps, Shape


class MatrixCost(CostLayer):
    """A cost with a target for each probability: inputs are the targets, which get no gradient, and probabilities."""

    inputs_range = (2, 2)
    target_inputs = (0,)

    @property
    def maps(self) -> Maps | None:
        """How both inputs are read: as they lie in memory if that is alike, because nothing depends on the order."""
        labels, probabilities = (shape.maps for shape in self.input_shapes)
        return labels if labels == probabilities else None

    def output_shape(self, report: LayerReport) -> Shape | None:
        """None: costs have no outputs."""
        labels, probabilities = self.input_shapes
        if labels.features != probabilities.features:
            found = f"'{self.inputs[0]}' has {labels.features}, '{self.inputs[1]}' has {probabilities.features}"
            report.error(f"expected as many targets as probabilities, {found}", "inputs")
            return None
        return Shape(0)


class CrossEntropy(MatrixCost):
    """The cross-entropy -sum t log q of targets t, such as the label matrix (dataIdx=2), and a softmax layer's q.

    Also counts errors: a case is wrong as far as its most probable class is not among those with the largest target.
    """

    type = "cost.crossent"
    metrics = ("cost", "error")

    def merges(self, index: int) -> bool:
        """With the softmax."""
        return index == 1

    def output_shape(self, report: LayerReport) -> Shape | None:
        """None: costs have no outputs."""
        return super().output_shape(report) if self.expect_softmax(report) else None

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Cost and error of each case."""
        plan.emit("crossent.fprop", plan.input(0, None), plan.input(1, None), plan.costs(len(self.metrics)))

    def bprop(self, plan: Emitter) -> None:
        """The gradient of the softmax's input if this is its only consumer, of its output otherwise."""
        below = plan.input_grad(1, None)
        if below is not None:
            operation = "crossent.bprop_softmax" if self.below[1].merged else "crossent.bprop"
            plan.emit(operation, plan.input(0, None), plan.input(1, None), below.tensor, coeff=self.coefficient,
                      accumulate=below.accumulate)  # fmt: skip


class BinaryCrossEntropy(MatrixCost):
    """The cross-entropy of independent yes-or-no targets: -sum (posWeight t log q + (1 - t) log(1 - q)).

    Inputs are the targets t, between 0 and 1, and as many probabilities q, such as those of a logistic neuron. Also
    counts errors: the share of the numbers that are on the wrong side of 1/2, and the top-1 error, for which a case is
    wrong as far as its most probable class is not among those with the largest target. With `children` only the cost.
    """

    type = "cost.bce"
    aliases = ("cost.crossent2",)  # in 2012
    params = (
        *CostLayer.params,
        Key("posWeight", Float(minimum=0), "weight of the targets that say yes", default=1.0),
    )
    ignored = (Ignored("topk", "only cost.logreg counts top-k errors"),)

    @property
    def metrics(self) -> tuple[str, ...]:  # type: ignore[override]
        """The cost, the share of wrong numbers, the top-1 error."""
        return ("cost", "error", "top1_error")

    def merges(self, index: int) -> bool:
        """With a logistic neuron."""
        return index == 1 and self._is_logistic(index)

    def _is_logistic(self, index: int) -> bool:
        below = self.below[index]
        return isinstance(below, Neuron) and below.function.name == "logistic"

    def output_shape(self, report: LayerReport) -> Shape | None:
        """None: costs have no outputs."""
        if not self._is_logistic(1):
            text = f"'{self.inputs[1]}' is not logistic: its numbers are taken for probabilities all the same"
            report.note(text, "inputs")
        return super().output_shape(report)

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Cost and errors of each case."""
        self._fprop(plan, "bce.fprop")

    def _fprop(self, plan: Emitter, operation: str) -> None:
        labels, probabilities = (plan.input(index, self.maps).view(shape.features)
                                 for index, shape in enumerate(self.input_shapes))  # fmt: skip
        plan.emit(
            operation, labels, probabilities, plan.costs(len(self.metrics)), pos_weight=self.learning["posWeight"]
        )

    def bprop(self, plan: Emitter) -> None:
        """The gradient of the logistic neuron's input if this is its only consumer, of its output otherwise."""
        below, size = plan.input_grad(1, self.maps), self.input_shapes[1].features
        if below is not None:
            operation = "bce.bprop_logistic" if self.below[1].merged else "bce.bprop"
            labels, probabilities = (plan.input(index, self.maps).view(size) for index in (0, 1))
            plan.emit(operation, labels, probabilities, below.tensor.view(size), coeff=self.coefficient,
                      pos_weight=self.learning["posWeight"], accumulate=below.accumulate)  # fmt: skip

    def report(self, sums: Metrics, cases: int) -> dict[str, float]:
        """Averages; with children the cost alone: shares of other numbers do not add up to a share."""
        averages = super().report(sums, cases)
        return {"cost": averages["cost"]} if self.children else averages

    def in_words(self, reported: Metrics, classes: Sequence[str]) -> str:
        """The top-1 error only where there is a choice."""
        shown = {"top-1 error" if name == "top1_error" else name: value for name, value in reported.items()}
        if self.input_shapes[1].features == 1:
            shown.pop("top-1 error", None)
        return super().in_words(shown, classes)


class Detection(BinaryCrossEntropy):
    """cost.bce that tells for each class how well it is found, its targets being the label matrix (dataIdx=2).

    A class is declared where its probability is above 1/2. Its precision is the share of the cases where it is declared
    that have it, its recall the share of those that have it where it is declared. With `children` only the cost.
    """

    type = "cost.dce"

    @property
    def metrics(self) -> tuple[str, ...]:  # type: ignore[override]
        """The cost, the share of wrong numbers; then the cases that count for each class."""
        classes = range(self.input_shapes[1].features)
        counts = [f"{name} {number}" for name in ("declared", "positive", "true positive") for number in classes]
        return ("cost", "error", *counts)

    @property
    def shares(self) -> list[str]:
        """Precision and recall of each class."""
        classes = range(0 if self.children else self.input_shapes[1].features)
        return [f"{name} {number}" for number in classes for name in ("precision", "recall")]

    @property
    def maps(self) -> Maps | None:
        """As plain features: the order of the classes matters."""
        return None

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Cost, errors and counts of each case."""
        self._fprop(plan, "bce.fprop_counts")

    def report(self, sums: Metrics, cases: int) -> dict[str, float]:
        """Averages of cost and error, then precision and recall of each class, except those that would be 0 / 0."""
        found = super().report({name: sums[name] for name in ("cost", "error")}, cases)
        for number in range(0 if self.children else self.input_shapes[1].features):
            for name, of in (("precision", "declared"), ("recall", "positive")):
                if sums[f"{of} {number}"]:
                    found[f"{name} {number}"] = sums[f"true positive {number}"] / sums[f"{of} {number}"]
        return found

    def in_words(self, reported: Metrics, classes: Sequence[str]) -> str:
        """The classes by name; - for what would be 0 / 0."""
        parts = [super().in_words({name: reported[name] for name in ("cost", "error") if name in reported}, classes)]
        for number in range(0 if self.children else self.input_shapes[1].features):
            shares = [reported.get(f"{name} {number}") for name in ("precision", "recall")]
            precision, recall = ("-" if share is None else f"{share:.4f}" for share in shares)
            parts.append(f"({_name(classes, number)}) precision {precision} recall {recall}")
        return ", ".join(parts)


def _name(classes: Sequence[str], number: int) -> str:
    name = classes[number] if number < len(classes) else f"class {number}"
    return name if name.isprintable() else ascii(name)
