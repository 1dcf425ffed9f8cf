"""From a layer graph to a plan."""

from __future__ import annotations

import zlib
from typing import Any

from convnet.graph.layer_graph import LayerGraph, Node
from convnet.layers.neuron import Neuron
from convnet.ops.dropout import Counter
from convnet.ops.neuron import NeuronFunction
from convnet.plan.memory import assign_offsets
from convnet.plan.step import BPROP, FPROP, UPDATE, Plan, Step
from convnet.shape import Maps
from convnet.tensor import Memory, NumberTypes, Target, Tensor, memory_shape, same_order
from convnet.weights.layout import SPACES, ParameterLayout
from convnet.weights.parameter import Parameter


def build_plan(
    graph: LayerGraph, layout: ParameterLayout, *, mini: int, seed: int, counter: Counter, types: NumberTypes,
    input_grads: bool = False,
) -> Plan:  # fmt: skip
    """The plan of a net on one device.

    `counter` numbers the minibatches for dropout. `input_grads`: compute the gradients of the data too.
    """
    return _Builder(graph, layout, Plan(mini, types), seed, counter, input_grads).build()


class _Builder:
    def __init__(
        self, graph: LayerGraph, layout: ParameterLayout, plan: Plan, seed: int, counter: Counter, input_grads: bool
    ) -> None:
        self.graph, self.layout, self.seed, self.counter = graph, layout, seed, counter
        self.plan = plan
        self.memories: dict[object, Memory] = {}  # by what they are for; names are for people
        self.trainable = _trainable(graph, input_grads)
        self.steps: list[Step] = []
        self.converted: set[object] = set()
        self.written: set[object] = set()  # gradients that hold a value already: nodes and parameters

    def build(self) -> Plan:
        """Emit both passes, then lay out the memory."""
        plan = self.plan
        plan.test = self._pass(training=False)
        self._fprop(training=True)
        self._bprop()
        self._update()
        plan.train = self.steps
        plan.memories = list(self.memories.values())
        for device in sorted({memory.device for memory in plan.memories}):
            own = [memory for memory in plan.memories if memory.device == device]
            plan.arenas[device] = assign_offsets(own, plan.train, plan.mini, plan.types)
        return plan

    def _pass(self, *, training: bool) -> list[Step]:
        self._fprop(training=training)
        steps, self.steps, self.converted = self.steps, [], set()
        return steps

    def _fprop(self, *, training: bool) -> None:
        for node in self.graph.nodes:
            if node.layer.type == "data":
                self.plan.inputs[node.name] = self.output(node)
                self.plan.inputs[node.name].memory.pinned = True
            elif not fused_into_input(node):
                node.layer.fprop(_Emitter(self, node, FPROP), training=training)

    def _bprop(self) -> None:
        for node in reversed(self.graph.nodes):
            if node not in self.trainable or not (node.layer.is_cost or node in self.written):
                continue
            emitter = _Emitter(self, node, BPROP)
            node.layer.bprop(emitter)
            emitter.finish()
            if node.layer.type == "data":
                self.plan.gradients[node.name] = self.gradient(node)
                self.plan.gradients[node.name].memory.pinned = True

    def _update(self) -> None:
        layout = self.layout
        if not any(parameter.learns for parameter in layout.parameters):
            return
        flats = [_flat(space, layout.size) for space in SPACES]
        operands = _flat("operands", layout.size) if self.plan.types.rounded else None
        rates = {"offsets": layout.offsets, "rates": layout.rates, "operands": operands}
        self.emit(UPDATE, "", "update.momentum", (*flats,), rates)
        for parameter in layout.parameters:
            if parameter.wball > 0 and parameter.learns:
                matrix = parameter.matrix
                rounded = self.parameter("operands", parameter) if self.plan.types.rounded else None
                limits = {"limit": parameter.wball, "exact": not matrix.windows, "modules": max(1, matrix.windows),
                          "operands": rounded}  # fmt: skip
                self.emit(UPDATE, parameter.layer, "update.wball", (self.parameter("weights", parameter),), limits)

    def emit(
        self, phase: str, layer: str, operation: str, arguments: tuple[Any, ...], parameters: dict[str, Any]
    ) -> None:
        """Append a step; it runs on the device of its layer, the update of all weights on the first one."""
        device = device_of(self.graph[layer]) if layer else 0
        self.steps.append(Step(phase, layer, device, operation, arguments, parameters))

    def memory(self, key: object, name: str, node: Node, numbers: int, *, exact: bool = False) -> Memory:
        """The block of activations for this purpose, on the device of a layer."""
        return self.memories.setdefault(key, Memory(name, device_of(node), numbers, exact=exact))

    def output(self, node: Node) -> Tensor:
        """Where a layer's output lies: with its input's, if it is a neuron that works in place."""
        shape = node.layer.shape
        base = node.inputs[0] if works_in_place(node) else node
        memory = self.memory(("output", base), base.name, base, shape.features, exact=_is_label(base))
        return Tensor(memory, memory_shape(shape.features, shape.maps))

    def gradient(self, node: Node) -> Tensor:
        """Where the gradient of a layer's output lies: with that of the in-place neuron above it."""
        shape = node.layer.shape
        above = node.consumers[0] if node.consumers and works_in_place(node.consumers[0]) else node
        memory = self.memory(("gradient", above), f"{above.name}.grad", above, shape.features)
        return Tensor(memory, memory_shape(shape.features, shape.maps))

    def adds_to(self, target: Node | Parameter) -> bool:
        """Whether the step emitted next must add to this gradient: all but the first one that writes it."""
        accumulate = target in self.written
        self.written.add(target)
        return accumulate

    def parameter(self, space: str, parameter: Parameter) -> Tensor:
        """A parameter's weights, rounded weights or gradients: a matrix, or a vector of biases."""
        matrix, offset = parameter.matrix, self.layout.begin(parameter)
        name = f"{parameter.name}.grad" if space == "gradients" else parameter.name
        device = device_of(self.graph[parameter.layer])
        memory = Memory(name, device, matrix.size, per_case=False, space=space, offset=offset)
        return Tensor(memory, (matrix.size,) if parameter.index is None else matrix.shape)


class _Emitter:
    """The plan as one layer sees it; see convnet.layers.emitter.Emitter."""

    def __init__(self, builder: _Builder, node: Node, phase: str) -> None:
        self._builder, self._node, self._phase = builder, node, phase
        self._pending: list[tuple[Tensor, Maps | None, Node]] = []

    @property
    def fused_neuron(self) -> NeuronFunction | None:
        above = self._node.consumers[0] if self._node.consumers else None
        return above.layer.function if above and isinstance(above.layer, Neuron) and fused_into_input(above) else None

    def input(self, index: int, maps: Maps | None) -> Tensor:
        below = self._node.inputs[index]
        shape, held = below.layer.shape, self._builder.output(below)
        if same_order(maps, shape.maps):
            return held.view(*memory_shape(shape.features, maps))
        name, key = f"{held.memory.name} as {maps or 'features'}", (held.memory, maps)
        memory = self._builder.memory(key, name, self._node, shape.features)
        converted = Tensor(memory, memory_shape(shape.features, maps))
        if key not in self._builder.converted:
            self._builder.converted.add(key)
            self.emit("layout.convert", held, shape.maps, converted, maps, accumulate=False)
        return converted

    def input_grad(self, index: int, maps: Maps | None) -> Target | None:
        below, builder = self._node.inputs[index], self._builder
        if below not in builder.trainable:
            return None
        shape, held = below.layer.shape, builder.gradient(below)
        if same_order(maps, shape.maps):
            return Target(held.view(*memory_shape(shape.features, maps)), builder.adds_to(below))
        name = f"{held.memory.name} as {maps or 'features'} from {self._node.name}.{index}"
        memory = builder.memory((held.memory, maps, self._node, index), name, self._node, shape.features)
        converted = Tensor(memory, memory_shape(shape.features, maps))
        self._pending.append((converted, maps, below))
        return Target(converted, accumulate=False)

    def finish(self) -> None:
        """Bring gradients that were computed in another order to where they belong."""
        for converted, maps, below in self._pending:
            self.emit("layout.convert", converted, maps, self._builder.gradient(below), below.layer.shape.maps,
                      accumulate=self._builder.adds_to(below))  # fmt: skip

    def output(self) -> Tensor:
        return self._builder.output(self._node)

    def output_grad(self) -> Tensor:
        return self._builder.gradient(self._node)

    def weights(self, index: int) -> Tensor:
        space = "operands" if self._builder.plan.types.rounded else "weights"
        return self._builder.parameter(space, self._node.parameters[index])

    def weights_grad(self, index: int) -> Target | None:
        return self._parameter_grad(self._node.parameters[index])

    def biases(self) -> Tensor:
        return self._builder.parameter("weights", self._node.parameters[None])

    def biases_grad(self) -> Target | None:
        return self._parameter_grad(self._node.parameters[None])

    def _parameter_grad(self, parameter: Parameter) -> Target | None:
        if not parameter.learns:
            return None
        return Target(self._builder.parameter("gradients", parameter), self._builder.adds_to(parameter))

    def costs(self, values: int) -> Tensor:
        memory = self._builder.memory(("costs", self._node), self._node.name, self._node, values, exact=True)
        memory.pinned = True
        tensor = Tensor(memory, (values,))
        self._builder.plan.costs[self._node.name] = tensor
        return tensor

    def dropout_stream(self) -> dict[str, object]:
        # The stream follows from the name, so that editing other layers leaves this one's draws as they are.
        stream = zlib.crc32(self._node.name.encode())
        return {"seed": self._builder.seed, "stream": stream, "counter": self._builder.counter}

    def emit(self, operation: str, *arguments: object, **parameters: object) -> None:
        self._builder.emit(self._phase, self._node.name, operation, arguments, parameters)


def device_of(node: Node) -> int:
    """The device a layer runs on; data goes to where its first consumer runs."""
    return node.gpus[0] if node.gpus else device_of(node.consumers[0])


def _is_label(node: Node) -> bool:
    """Whether a data layer holds labels: whole numbers, which must not be rounded."""
    reading = [(above, index) for above in node.consumers for index, below in enumerate(above.inputs) if below is node]
    return node.layer.type == "data" and any(index in above.layer.label_inputs for above, index in reading)


def works_in_place(node: Node) -> bool:
    """Whether a neuron layer may overwrite its input: nobody else reads it, and the output gives the derivative."""
    if not isinstance(node.layer, Neuron) or not node.layer.function.from_output:
        return False
    below = node.inputs[0]
    return below.layer.type != "data" and len(below.consumers) == 1 and not below.layer.reads_own_output


def fused_into_input(node: Node) -> bool:
    """Whether the layer below applies this neuron itself."""
    return works_in_place(node) and node.inputs[0].layer.fuses_neuron


def _trainable(graph: LayerGraph, input_grads: bool) -> set[Node]:
    """The layers whose output depends on weights that learn (or on data, if its gradient is wanted)."""
    found: set[Node] = set()
    for node in graph.nodes:
        learns = any(parameter.learns for parameter in node.parameters.values())
        if learns or (input_grads and node.layer.type == "data") or any(below in found for below in node.inputs):
            found.add(node)
    return found


def _flat(space: str, size: int) -> Tensor:
    return Tensor(Memory(space, 0, size, per_case=False, space=space, offset=0), (size,))
