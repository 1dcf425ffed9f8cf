"""ConvNet: fprop, bprop and update of a net, one minibatch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from convnet.backends import Device
from convnet.graph.layer_graph import LayerGraph
from convnet.layers.cost import CostLayer
from convnet.net.initialize import initialize
from convnet.ops.dropout import Counter
from convnet.plan.bind import BoundPlan
from convnet.plan.build import build_plan
from convnet.plan.step import BPROP, UPDATE
from convnet.weights.layout import ParameterLayout
from convnet.weights.parameter import Parameter
from convnet.weights.store import WeightStore

Array = np.ndarray[Any, Any]
Costs = dict[str, dict[str, float]]  # by cost layer, then by metric: sums over the cases


class ConvNet:
    """A net that can train and test.

    `mini`: the nominal minibatch, and the most cases that fit in one. The update divides gradients by it even when the
    last minibatch of a data batch is shorter, as cuda-convnet2 does. `seed` decides initial weights and dropout.
    `device`: an open device of any backend. `input_grads`: compute gradients of the data layers too. `initial`: set the
    initial weights; without, they are 0, for a caller that has others.
    """

    def __init__(
        self, graph: LayerGraph, device: Device, *, mini: int, seed: int = 0, dtype: Any = np.float32,
        input_grads: bool = False, initial: bool = True,
    ) -> None:  # fmt: skip
        self.graph, self.device, self.mini = graph, device, mini
        self._counter = Counter(0)
        layout = ParameterLayout(graph.parameters)
        self.store = WeightStore(layout, device, dtype)
        plan = build_plan(
            graph, layout, mini=mini, seed=seed, counter=self._counter, types=self.store.types, input_grads=input_grads
        )
        self.bound = BoundPlan(plan, self.store, {0: device})
        inputs = plan.inputs.items()
        self._feeders = {name: device.feeder(plan.types.size(tensor.memory, mini)) for name, tensor in inputs}
        if initial:
            initialize(graph, self.store, seed)
        self.set_progress(0.0)

    @property
    def minibatches(self) -> int:
        """Minibatches trained so far; numbers the draws of dropout."""
        return self._counter.value

    @minibatches.setter
    def minibatches(self, value: int) -> None:
        self._counter.value = value

    def set_progress(self, progress: float) -> None:
        """Set the learning rates to what the schedules say when `progress` (0..1) of training is done."""
        self.store.layout.set_rates(progress, self.mini)

    def begin_training(self, data: Sequence[Array]) -> Callable[[], Costs]:
        """Begin fprop, bprop and update on one minibatch; the returned function waits for the costs before the update.

        Devices that work beside the host are given the work of the next minibatch before the costs of this one are
        waited for, so that they are never idle. Afterwards `data` may be changed.

        data: one array for each matrix of the data provider, cases first: images (n, y, x, channels), labels (n, 1).
        """
        costs = self._begin(data, training=True)
        self._counter.value += 1
        return costs

    def begin_testing(self, data: Sequence[Array]) -> Callable[[], Costs]:
        """Begin fprop as in testing; the returned function waits for the costs."""
        return self._begin(data, training=False)

    def train_minibatch(self, data: Sequence[Array]) -> Costs:
        """Run fprop, bprop and update on one minibatch; returns the costs before the update."""
        return self.begin_training(data)()

    def compute_gradients(self, data: Sequence[Array]) -> Costs:
        """Run fprop and bprop without the update; the gradients can then be read.

        Dropout's masks are those of the next minibatch to be trained.
        """
        return self._begin(data, training=True, leave_out=(UPDATE,))()

    def compute_costs(self, data: Sequence[Array]) -> Costs:
        """Run the fprop of training alone."""
        return self._begin(data, training=True, leave_out=(BPROP, UPDATE))()

    def test_minibatch(self, data: Sequence[Array]) -> Costs:
        """Run fprop as in testing; returns the costs."""
        return self.begin_testing(data)()

    def _begin(
        self, data: Sequence[Array], *, training: bool, leave_out: tuple[str, ...] = ()
    ) -> Callable[[], Costs]:
        """Begin a pass over one minibatch of at most `mini` cases, less the steps of some phases."""
        cases = len(data[0])
        self._load(data, cases)
        for step, launch in self.bound.program(training=training, cases=cases):
            if step.phase not in leave_out:
                launch()
        return self._costs(cases)

    def _load(self, data: Sequence[Array], cases: int) -> None:
        for name, tensor in self.bound.plan.inputs.items():
            target = self.bound.array(tensor, cases)
            source = data[self.graph[name].layer.values["dataIdx"]]
            self._feeders[name].send(source.reshape(target.shape), target)

    def _costs(self, cases: int) -> Callable[[], Costs]:
        plan = self.bound.plan
        fetched = [
            (layer, self.device.fetch(self.bound.array(plan.costs[layer.name], cases))) for layer in self.graph.costs
        ]

        def wait() -> Costs:
            return {layer.name: _sums(layer, values()) for layer, values in fetched}

        return wait

    def input_gradient(self, name: str, cases: int) -> Array:
        """A copy of the gradient of a data layer (a net made with `input_grads`), as it lies in memory."""
        array: Array = self.device.download(self.bound.array(self.bound.plan.gradients[name], cases))
        return array

    def parameter(self, name: str) -> Parameter:
        """The parameter called, for example, `conv1.weights.0` or `conv1.biases`.

        Raises:
            KeyError: if there is none.
        """
        return {parameter.name: parameter for parameter in self.graph.parameters}[name]

    def state(self) -> dict[str, Array]:
        """Weights by name and increments by name + `.inc`, in cuda-convnet's order and shapes."""
        found = {}
        for parameter in self.graph.parameters:
            found[parameter.name] = self.store.get("weights", parameter)
            found[f"{parameter.name}.inc"] = self.store.get("increments", parameter)
        return found

    def set_state(self, state: Mapping[str, Array]) -> None:
        """Set weights and increments to what `state` gave.

        Raises:
            KeyError: if one is missing.
        """
        for parameter in self.graph.parameters:
            self.store.set("weights", parameter, state[parameter.name])
            self.store.set("increments", parameter, state[f"{parameter.name}.inc"])


def _sums(layer: CostLayer, values: Array) -> dict[str, float]:
    return dict(zip(layer.metrics, map(float, values.sum(axis=0, dtype=np.float64)), strict=True))
