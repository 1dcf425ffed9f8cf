"""ConvNet: fprop, bprop and update of a net, one minibatch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from convnet.backends import Device
from convnet.graph.layer_graph import LayerGraph
from convnet.layers.cost import CostLayer
from convnet.net.connections import connect, connections, set_connections
from convnet.net.feeding import check_images, fed, layer_mean, stored
from convnet.net.initialize import initialize
from convnet.ops.dropout import Counter
from convnet.pixels import Minibatch, Pixels
from convnet.plan.bind import BoundPlan
from convnet.plan.build import build_plan, layouts
from convnet.plan.groups import sums_kept
from convnet.plan.step import BPROP, SUM, UPDATE
from convnet.weights.parameter import Parameter
from convnet.weights.schedule import Progress
from convnet.weights.store import WeightStore

Array = np.ndarray[Any, Any]
Costs = dict[str, dict[str, float]]  # by cost layer, then by metric: sums over the cases


class ConvNet:
    """A net that can train and test.

    `mini`: the nominal minibatch, and the most cases that fit in one. The update divides gradients by it even when the
    last minibatch of a data batch is shorter, as cuda-convnet2 does. `seed` decides initial weights and dropout.
    `device`: an open device of any backend, or one for each number that the net's `gpu` keys name, in their order.
    `input_grads`: compute gradients of the data layers too. `updates`: without, nothing is learned, and gradients are
    always those of a whole minibatch. `initial`: set the initial weights; without, they are 0, for a caller that has
    others. `mean`: what is subtracted from images that come as Pixels, (y, x, channels) or (), None where they come
    ready. With it they travel to the devices as bytes; they have the bits that `Pixels.normalized` gives.

    Raises:
        ValueError: for a mean that is not one of such images.
    """

    def __init__(
        self, graph: LayerGraph, device: Device | Sequence[Device], *, mini: int, seed: int = 0,
        dtype: Any = np.float32, input_grads: bool = False, updates: bool = True, initial: bool = True,
        mean: Array | None = None,
    ) -> None:  # fmt: skip
        self.graph, self.mini, self.mean = graph, mini, mean
        self.devices = list(device) if isinstance(device, Sequence) else [device]
        self._counter = Counter(0)
        where, devices = layouts(graph), dict(enumerate(self.devices))
        self.store = WeightStore(where, devices, dtype)
        plan = build_plan(
            graph, where, mini=mini, seed=seed, counter=self._counter, types=self.store.types,
            input_grads=input_grads, updates=updates, pixels=mean is not None,
        )  # fmt: skip
        self.bound = BoundPlan(plan, self.store, devices)
        if mean is not None:
            self._upload_mean(mean)
        self._feeders = {
            tensor: devices[portion.device].feeder(plan.types.size(tensor.memory, plan.most_cases))
            for portions in plan.inputs.values()
            for portion, tensors in portions.items()
            for tensor in tensors
        }
        connect(graph, seed, functions=initial)
        self._sums_kept = [
            (f"{parameter.name}.grad.{replica}", parameter, replica)
            for parameter in graph.parameters
            for replica in range(sums_kept(graph, parameter))
        ]
        if initial:
            initialize(graph, self.store, seed)
        self.set_progress(Progress())

    @property
    def ahead(self) -> int:
        """How many minibatches to begin beyond the one whose costs are waited for, so that devices are never idle."""
        return self.devices[0].ahead

    @property
    def minibatches(self) -> int:
        """Minibatches trained so far; numbers the draws of dropout."""
        return self._counter.value

    @minibatches.setter
    def minibatches(self, value: int) -> None:
        self._counter.value = value

    def set_progress(self, progress: Progress) -> None:
        """Set the learning rates to what the schedules say when training is so far."""
        self.store.set_rates(progress, self.mini)

    def begin_training(self, data: Minibatch) -> Callable[[], Costs]:
        """Begin fprop, bprop and update on one minibatch; the returned function waits for the costs before the update.

        Devices that work beside the host are given the work of the next minibatch before the costs of this one are
        waited for, so that they are never idle. Afterwards `data` may be changed.

        data: one array for each matrix of the data provider, cases first: images (n, y, x, channels), labels (n, 1).
        With a `mean`, the images are Pixels.

        Raises:
            ValueError: for Pixels without a mean, and for images that are ready with one.
        """
        costs = self._begin(data, training=True)
        self._counter.value += 1
        return costs

    def begin_testing(self, data: Minibatch) -> Callable[[], Costs]:
        """Begin fprop as in testing; the returned function waits for the costs."""
        return self._begin(data, training=False)

    def train_minibatch(self, data: Minibatch) -> Costs:
        """Run fprop, bprop and update on one minibatch; returns the costs before the update."""
        return self.begin_training(data)()

    def compute_gradients(self, data: Minibatch) -> Costs:
        """Run fprop and bprop without the update; the gradients can then be read.

        Dropout's masks are those of the next minibatch to be trained.
        """
        return self._begin(data, training=True, leave_out=(UPDATE,))()

    def compute_costs(self, data: Minibatch) -> Costs:
        """Run the fprop of training alone."""
        return self._begin(data, training=True, leave_out=(BPROP, SUM, UPDATE))()

    def test_minibatch(self, data: Minibatch) -> Costs:
        """Run fprop as in testing; returns the costs."""
        return self.begin_testing(data)()

    def _begin(self, data: Minibatch, *, training: bool, leave_out: tuple[str, ...] = ()) -> Callable[[], Costs]:
        """Begin a pass over one minibatch of at most `mini` cases, less the steps of some phases."""
        cases = len(data[0])
        self._load(data, cases)
        number = self.minibatches + 1
        for step, launch in self.bound.joined(training=training, cases=cases):
            if step.phase not in leave_out and not number % step.every:
                launch()
        return self._costs(cases)

    def _upload_mean(self, mean: Array) -> None:
        """Give every device the mean of the images that it gets as bytes."""
        for name, found in self.bound.plan.means.items():
            for device, tensor in found.items():
                self.devices[device].upload(layer_mean(self.graph[name].layer, mean), self.bound.array(tensor, 0))

    def _load(self, data: Minibatch, cases: int) -> None:
        check_images(data, self.mean)
        parts = self.bound.plan.cut(cases)
        for name, portions in self.bound.plan.inputs.items():
            sources = self._sources(name, data)
            for portion, tensors in portions.items():
                first, count = parts[portion.part]
                if count:
                    for tensor, source in zip(tensors, sources, strict=True):
                        target = self.bound.array(tensor, count)
                        self._feeders[tensor].send(source[first : first + count].reshape(target.shape), target)

    def _sources(self, name: str, data: Minibatch) -> tuple[Array, ...]:
        """What is written into a data layer's tensors: all cases of each."""
        layer, images = self.graph[name].layer, data[0]
        if name in self.bound.plan.means and isinstance(images, Pixels):
            return stored(layer, images)
        return (fed(layer, data, self.mean),)

    def _costs(self, cases: int) -> Callable[[], Costs]:
        plan = self.bound.plan
        parts = plan.cut(cases)
        fetched = [
            (layer, self.devices[portion.device].fetch(self.bound.array(tensor, parts[portion.part][1])))
            for layer in self.graph.costs
            for portion, tensor in plan.costs[layer.name].items()
            if parts[portion.part][1]
        ]
        if not self.ahead:
            # Also devices without costs: what their launches read may change from now on, and errors are told.
            for device in self.devices:
                device.finish()

        def wait() -> Costs:
            costs: Costs = {}
            for layer, values in fetched:
                held = costs.setdefault(layer.name, dict.fromkeys(layer.metrics, 0.0))
                for metric, value in _sums(layer, values()).items():
                    held[metric] += value
            return costs

        return wait

    def input_gradient(self, name: str, cases: int) -> Array:
        """A copy of the gradient of a data layer (a net made with `input_grads`), as it lies in memory."""
        plan = self.bound.plan
        parts, found = plan.cut(cases), []
        for part, (_, count) in enumerate(parts):
            own = [(p.device, tensor) for p, tensor in plan.gradients[name].items() if p.part == part]
            found.append(sum(self.devices[d].download(self.bound.array(tensor, count)) for d, tensor in own))
        return np.concatenate(found)

    def output(self, name: str, cases: int) -> Array:
        """What a layer whose output is kept gave for the `cases` cases tested last: (cases, features) float32.

        Features are in cuda-convnet's order: channel slowest, then y, then x.
        """
        bound, parts = self.bound, self.bound.plan.cut(cases)
        portions = sorted(bound.plan.kept[name].items(), key=lambda item: item[0].part)
        found = np.concatenate([
            self.devices[portion.device].download(bound.array(tensor, parts[portion.part][1]))
            for portion, tensor in portions if parts[portion.part][1]
        ])  # fmt: skip
        ordered = np.moveaxis(found, 3, 1) if self.graph[name].layer.shape.maps else found
        return np.ascontiguousarray(ordered.reshape(cases, -1), np.float32)

    def parameter(self, name: str) -> Parameter:
        """The parameter called, for example, `conv1.weights.0` or `conv1.biases`.

        Raises:
            KeyError: if there is none.
        """
        return {parameter.name: parameter for parameter in self.graph.parameters}[name]

    def state(self) -> dict[str, Array]:
        """What a checkpoint keeps, in cuda-convnet's order and shapes, besides all connections.

        Weights and statistics by name, increments by name + `.inc`; gradients that are summed up over several
        minibatches (see the key updatePeriod) by name + `.grad.` + replica.
        """
        found = connections(self.graph)
        for parameter in self.graph.parameters:
            for space, name in parameter.saved.items():
                found[name] = self.store.get(space, parameter)
        for name, parameter, replica in self._sums_kept:
            found[name] = self.store.get("gradients", parameter, replica)
        return found

    def set_state(self, state: Mapping[str, Array]) -> None:
        """Set weights, increments, sums of gradients and connections to what `state` gave.

        Sums that it has not, because they were not kept over several minibatches then, are 0.

        Raises:
            KeyError: if one of the other arrays is missing.
            ValueError: if connections are missing or not this net's.
        """
        set_connections(self.graph, state)
        self.bound.forget()  # prepared steps hold the connections
        for parameter in self.graph.parameters:
            for space, name in parameter.saved.items():
                self.store.set(space, parameter, state[name])
        for name, parameter, replica in self._sums_kept:
            self.store.set("gradients", parameter, state.get(name, np.zeros(parameter.matrix.shape)), replica)


def _sums(layer: CostLayer, values: Array) -> dict[str, float]:
    return dict(zip(layer.metrics, map(float, values.sum(axis=0, dtype=np.float64)), strict=True))
