"""Compares a net's gradients with numeric ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from convnet.graph.layer_graph import LayerGraph, Node
from convnet.net.convnet import Array, ConvNet
from convnet.net.feeding import spread
from convnet.weights.parameter import Parameter

_STEPS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
# Of the objective: what a slope is told apart from 0 by. Differences leave some 1e-12 of it where the slope is 0, as
# that of biases below a batch normalization is.
_FLAT = 1e-5


@dataclass(frozen=True)
class GradientCheck:
    """The derivative of the objective along a random direction of one parameter, or of the data, computed twice."""

    name: str
    analytic: float
    numeric: float
    objective: float

    @property
    def error(self) -> float:
        """|analytic - numeric| / max(|analytic|, |numeric|, 1e-5 |objective|); 0 if all are 0.

        Infinite if one of them is not finite: nothing agrees with that.
        """
        if not np.isfinite([self.analytic, self.numeric, self.objective]).all():
            return math.inf
        largest = max(abs(self.analytic), abs(self.numeric), _FLAT * abs(self.objective))
        return abs(self.analytic - self.numeric) / largest if largest else 0.0


def check_gradients(net: ConvNet, data: Sequence[Array], seed: int = 0) -> Iterator[GradientCheck]:
    """Check every parameter that learns, and every data layer whose gradient the net computes.

    net: of type float64. data: one minibatch. The objective is the sum of coeff * cost over all cases and costs; its
    numeric derivative is (E(w + h r) - E(w - h r)) / 2h along random r of the size of w. Kinks (relu, max) near w spoil
    large h, rounding spoils small h, so several h are tried and the best counts. What lies below the targets of a cost
    is left out: the cost depends on it, but its gradient does not.
    """
    generator = np.random.default_rng(seed)
    net.compute_gradients(data)
    stopped = {parameter for node in _stopped(net.graph) for parameter in node.parameters.values()}
    learning = [parameter for parameter in net.graph.parameters if parameter.learns and parameter not in stopped]
    gradients = {parameter: net.store.get("gradients", parameter) for parameter in learning}
    inputs = _data_gradients(net, data)
    for parameter, gradient in gradients.items():
        weights = net.store.get("weights", parameter)
        yield _check(parameter.name, weights, gradient, generator, partial(_with_weights, net, data, parameter))
    for index, (name, gradient) in inputs.items():
        yield _check(name, data[index], gradient, generator, partial(_with_data, net, data, index))


def _data_gradients(net: ConvNet, data: Sequence[Array]) -> dict[int, tuple[str, Array]]:
    """By index into the data: the first data layer that shows it, and the sum of the gradients of all that do.

    Data below a layer that passes no gradient is left out, and so are the targets of costs.
    """
    stopped, cases = _stopped(net.graph), len(data[0])
    left_out = {node.layer.values["dataIdx"] for node in net.graph.data if node in stopped}
    found: dict[int, tuple[str, Array]] = {}
    for name in [node.name for node in net.graph.data if node.name in net.bound.plan.gradients]:
        index = net.graph[name].layer.values["dataIdx"]
        if index in left_out:
            continue
        gradient = spread(net.graph[name].layer, net.input_gradient(name, cases), data[index])
        first, total = found.get(index, (name, np.zeros_like(gradient)))
        found[index] = (first, total + gradient)
    return found


def _stopped(graph: LayerGraph) -> set[Node]:
    """The layers whose gradient is not known because a layer above them passes none to them."""
    stopped: set[Node] = set()
    for node in reversed(graph.nodes):
        if any(above in stopped or not _passes(above, node) for above in node.consumers):
            stopped.add(node)
    return stopped


def _passes(node: Node, below: Node) -> bool:
    targets = [node.inputs[index] for index in node.layer.target_inputs]
    return node.layer.passes_gradient and below not in targets


def _check(
    name: str, values: Array, gradient: Array, generator: np.random.Generator, objective: Callable[[Array], float]
) -> GradientCheck:
    size = float(np.sqrt(np.mean(np.square(values)))) or 1.0
    direction = generator.standard_normal(values.shape) * size
    analytic = float((gradient.reshape(values.shape) * direction).sum())
    slopes = [
        (objective(values + step * direction) - objective(values - step * direction)) / (2 * step) for step in _STEPS
    ]
    here = objective(values)  # puts the weights back, too
    return min((GradientCheck(name, analytic, slope, here) for slope in slopes), key=lambda check: check.error)


def _with_weights(net: ConvNet, data: Sequence[Array], parameter: Parameter, values: Array) -> float:
    net.store.set("weights", parameter, values)
    return _objective(net, data)


def _with_data(net: ConvNet, data: Sequence[Array], index: int, values: Array) -> float:
    return _objective(net, [*data[:index], values, *data[index + 1 :]])


def _objective(net: ConvNet, data: Sequence[Array]) -> float:
    costs = net.compute_costs(data)
    return sum(layer.coefficient * costs[layer.name]["cost"] for layer in net.graph.costs)
