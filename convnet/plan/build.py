"""From a layer graph to a plan."""

from __future__ import annotations

from typing import Any

from convnet.graph.layer_graph import LayerGraph, Node
from convnet.ops.dropout import Counter
from convnet.plan.blocks import Blocks, Place, comes_as_pixels, fused_into_input
from convnet.plan.emitter import LayerEmitter
from convnet.plan.groups import Group, groups_of, layouts_of
from convnet.plan.learning import clear_steps, statistics_steps, sum_steps, update_steps
from convnet.plan.memory import assign_offsets
from convnet.plan.passes import Passes
from convnet.plan.step import BPROP, COPY, FPROP, Plan, Portion, Step
from convnet.tensor import Memory, NumberTypes, Tensor
from convnet.weights.layout import ParameterLayout
from convnet.weights.parameter import Parameter


def layouts(graph: LayerGraph) -> dict[int, ParameterLayout]:
    """Where the net's parameters lie, for each device that has any."""
    passes = Passes.of(graph)
    return layouts_of(groups_of(graph, passes), passes)


def build_plan(
    graph: LayerGraph, layouts: dict[int, ParameterLayout], *, mini: int, seed: int, counter: Counter,
    types: NumberTypes, input_grads: bool = False, updates: bool = True, pixels: bool = False,
) -> Plan:  # fmt: skip
    """The plan of a net on the devices that it names.

    `layouts`: as the function of this name gives them. `counter` numbers the minibatches for dropout. `input_grads`:
    compute the gradients of the data too. `updates`: without, nothing is learned, and after a minibatch the gradients
    are those of all of it. `pixels`: images come as Pixels.
    """
    return Builder(graph, layouts, Plan(mini, types), seed, counter, input_grads, updates, pixels).build()


class Builder:
    """Emits both programs step by step, in an order in which every device could work alone."""

    def __init__(
        self, graph: LayerGraph, layouts: dict[int, ParameterLayout], plan: Plan, seed: int, counter: Counter,
        input_grads: bool, updates: bool, pixels: bool,
    ) -> None:  # fmt: skip
        self.graph, self.layouts, self.plan, self.seed, self.counter = graph, layouts, plan, seed, counter
        self.updates, self.pixels = updates, pixels
        self.passes = Passes.of(graph)
        self.groups = groups_of(graph, self.passes)
        plan.parts = self.passes.most
        self.blocks = Blocks(plan, layouts)
        self.trainable = _trainable(graph, input_grads)
        self._steps: list[Step] = []
        self._derived: dict[Memory, set[Memory]] = {}  # of a block: copies and conversions that are up to date
        self._written: set[object] = set()  # gradients that hold a value already

    def build(self) -> Plan:
        """Emit both programs, then lay out the memory."""
        plan = self.plan
        plan.test = self._program(training=False)
        plan.train = self._program(training=True)
        plan.memories = self.blocks.memories
        for device in sorted({memory.device for memory in plan.memories}):
            own = [memory for memory in plan.memories if memory.device == device]
            plan.arenas[device] = assign_offsets(own, plan.train, plan.most_cases, plan.types)
        return plan

    def _program(self, *, training: bool) -> list[Step]:
        self._steps, self._derived = [], {}
        for number in range(self.passes.number):
            self._fprop(number, training=training)
            if training:
                self._bprop(number)
                self._learn(number)
        if training and self.updates:
            self._steps += statistics_steps(self.graph, self.blocks)
        return self._steps

    def _fprop(self, number: int, *, training: bool) -> None:
        for node in self.graph.nodes:
            if node.layer.type == "data" or number % self._period(node):
                continue
            for place in self._places(node, number):
                self._renew(place)
                if not fused_into_input(node):
                    node.layer.fprop(LayerEmitter(self, place, FPROP), training=training)
                if node.kept and not training:
                    self._keep(place)

    def _keep(self, place: Place) -> None:
        copied = self.blocks.output(place), self.blocks.kept(place)
        self.emit(FPROP, place, "eltwise.scale", copied, {"coeff": 1.0, "accumulate": False})

    def _bprop(self, number: int) -> None:
        for node in reversed(self.graph.nodes):
            if node.layer.type != "data" and node in self.trainable and not (number + 1) % self._period(node):
                for place in self._places(node, number):
                    self._bprop_of(place)

    def _bprop_of(self, place: Place) -> None:
        self._collect(place)
        if place.node.layer.is_cost or self._key(place, place.device) in self._written:
            emitter = LayerEmitter(self, place, BPROP)
            place.node.layer.bprop(emitter)
            emitter.finish()

    def _learn(self, number: int) -> None:
        """Sum up the gradients of replicas, and update what is due after this pass."""
        for group in self.groups:
            period = group.period if self.updates else self.passes.number
            every = max(1, period // self.passes.number)
            due = not (number + 1) % min(period, self.passes.number)
            if due and group.learns:
                self._learn_group(group, every)

    def _learn_group(self, group: Group, every: int) -> None:
        self._steps += sum_steps(group, self.layouts, self.blocks, every)
        if self.updates:
            self._steps += update_steps(group, self.layouts, self.blocks, self.plan.types, every)
            if every > 1:
                self._steps += clear_steps(group, self.layouts, every)
        self._written -= {(parameter, device) for parameter in group.parameters for device in group.devices}

    def _period(self, node: Node) -> int:
        return self.passes.period(len(node.gpus))

    def _places(self, node: Node, number: int) -> list[Place]:
        """The replicas of a layer with the parts that they have in a pass."""
        replicas = len(node.gpus)
        return [Place(node, replica, self.passes.part(replicas, replica, number)) for replica in range(replicas)]

    def _renew(self, place: Place) -> None:
        """A replica is about to compute its output: what was made of the last one is out of date."""
        stale = [self.blocks.output(place).memory]
        while stale:
            stale += self._derived.pop(stale.pop(), ())
        devices = {place.device, *(device for above in place.node.consumers for device in above.gpus)}
        self._written -= {self._key(place, device) for device in devices}

    def derive(self, memory: Memory, made: Memory) -> bool:
        """Note that a block is made of another one; whether it has to be."""
        known = self._derived.setdefault(memory, set())
        new = made not in known
        known.add(made)
        return new

    def output_here(self, node: Node, reader: Place, phase: str) -> Tensor:
        """The output of an input layer on the device of a layer that reads it, copied there if need be."""
        if node.layer.type == "data":
            return self._data_here(node, Portion(reader.device, reader.part), phase)
        below = reader.below(node)
        output = self.blocks.output(below)
        if below.device == reader.device:
            return output
        copy = self.blocks.copy(below, reader.device)
        if self.derive(output.memory, copy.memory):
            self._steps.append(Step(phase, node.name, reader.device, COPY, (output, copy), {}, reader.part))
        return copy

    def _data_here(self, node: Node, portion: Portion, phase: str) -> Tensor:
        """What a data layer gives to a device, made there of what is stored if it comes as Pixels."""
        if not self.pixels or not comes_as_pixels(node):
            return self.blocks.ready(node, portion)
        data, (values, mean, shifts) = self.blocks.data(node, portion), self.blocks.stored(node, portion)
        if self.derive(values.memory, data.memory):
            arguments = values, mean, shifts, data
            self._steps.append(Step(phase, node.name, portion.device, "pixels.normalize", arguments, {}, portion.part))
        return data

    def gradient_here(self, node: Node, reader: Place) -> Tensor:
        """Where a layer that reads another one puts the gradient of that one's output: on its own device."""
        if node.layer.type == "data":
            return self.blocks.data_gradient(node, Portion(reader.device, reader.part))
        return self.blocks.gradient(reader.below(node), reader.device)

    def adds_here(self, node: Node, reader: Place) -> bool:
        """Whether the step emitted next must add to that gradient: all but the first one that writes it."""
        if node.layer.type == "data":
            return self._adds((node, reader.device, reader.part))
        return self._adds(self._key(reader.below(node), reader.device))

    def adds_to(self, parameter: Parameter, device: int) -> bool:
        """Whether the step emitted next must add to the gradient of a parameter."""
        group = next(group for group in self.groups if parameter in group.parameters)
        return self._adds((parameter, device)) or (self.updates and group.period > self.passes.number)

    def _adds(self, target: object) -> bool:
        adds = target in self._written
        self._written.add(target)
        return adds

    def _key(self, place: Place, device: int) -> object:
        return place.node, place.replica, device

    def _collect(self, place: Place) -> None:
        """Add up what other devices have computed of the gradient of a replica's output."""
        home = self.blocks.gradient(place, place.device)
        for device in sorted({device for above in place.node.consumers for device in above.gpus} - {place.device}):
            if self._key(place, device) not in self._written:
                continue
            source = self.blocks.gradient(place, device)
            adds = self._adds(self._key(place, place.device))
            target = self.blocks.arrived(place, device) if adds else home
            self._steps.append(Step(BPROP, place.node.name, place.device, COPY, (source, target), {}, place.part))
            if adds:
                self.emit(BPROP, place, "eltwise.scale", (target, home), {"coeff": 1.0, "accumulate": True})

    def emit(
        self, phase: str, place: Place, operation: str, arguments: tuple[Any, ...], parameters: dict[str, Any]
    ) -> None:
        """Append a step of a layer, on the device of its replica."""
        self._steps.append(Step(phase, place.node.name, place.device, operation, arguments, parameters, place.part))


def _trainable(graph: LayerGraph, input_grads: bool) -> set[Node]:
    """The layers whose output depends on weights that learn (or on data, if its gradient is wanted)."""
    found: set[Node] = set()
    for node in graph.nodes:
        learns = any(parameter.learns for parameter in node.parameters.values())
        if learns or (input_grads and node.layer.type == "data") or any(below in found for below in node.inputs):
            found.add(node)
    return found
