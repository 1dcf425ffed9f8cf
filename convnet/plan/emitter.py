"""The plan as a layer sees it while it emits its steps; see convnet.layers.emitter.Emitter."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

from convnet.graph.layer_graph import Node
from convnet.layers.neuron import Neuron
from convnet.ops.neuron import NeuronFunction
from convnet.plan.blocks import Place, fused_into_input
from convnet.shape import Maps
from convnet.tensor import Bound, Target, Tensor, memory_shape, same_order
from convnet.weights.parameter import Parameter

if TYPE_CHECKING:
    from convnet.plan.build import Builder


class LayerEmitter:
    """One replica of a layer, emitting its steps of one phase."""

    def __init__(self, builder: Builder, place: Place, phase: str) -> None:
        self._builder, self._place, self._node, self._phase = builder, place, place.node, phase
        self._pending: list[tuple[Tensor, Maps | None, Node]] = []

    @property
    def fused_neuron(self) -> NeuronFunction | None:
        above = self._node.consumers[0] if self._node.consumers else None
        return above.layer.function if above and isinstance(above.layer, Neuron) and fused_into_input(above) else None

    def input(self, index: int, maps: Maps | None) -> Tensor:
        below, builder = self._node.inputs[index], self._builder
        shape, held = below.layer.shape, builder.output_here(below, self._place, self._phase)
        if same_order(maps, shape.maps):
            return held.view(*memory_shape(shape.features, maps))
        name = f"{held.memory.name} as {maps or 'features'}"
        memory = builder.blocks.block((held.memory, maps), name, self._place.device, shape.features)
        converted = Tensor(memory, memory_shape(shape.features, maps))
        if builder.derive(held.memory, memory):
            self.emit("layout.convert", held, shape.maps, converted, maps, accumulate=False)
        return converted

    def input_grad(self, index: int, maps: Maps | None) -> Target | None:
        below, builder = self._node.inputs[index], self._builder
        if below not in builder.trainable:
            return None
        shape, held = below.layer.shape, builder.gradient_here(below, self._place)
        if same_order(maps, shape.maps):
            return Target(held.view(*memory_shape(shape.features, maps)), builder.adds_here(below, self._place))
        name = f"{held.memory.name} as {maps or 'features'} from {self._node.name}.{index}"
        memory = builder.blocks.block((held.memory, maps, self._node, index), name, self._place.device, shape.features)
        converted = Tensor(memory, memory_shape(shape.features, maps))
        self._pending.append((converted, maps, below))
        return Target(converted, accumulate=False)

    def finish(self) -> None:
        """Bring gradients that were computed in another order to where they belong."""
        for converted, maps, below in self._pending:
            self.emit("layout.convert", converted, maps, self._builder.gradient_here(below, self._place),
                      below.layer.shape.maps, accumulate=self._builder.adds_here(below, self._place))  # fmt: skip

    def output(self) -> Tensor:
        return self._builder.blocks.output(self._place)

    def output_grad(self) -> Tensor:
        return self._builder.blocks.gradient(self._place, self._place.device)

    def weights(self, index: int) -> Tensor:
        space = "operands" if self._builder.plan.types.rounded else "weights"
        return self._builder.blocks.parameter(space, self._node.parameters[index], self._place.device)

    def weights_grad(self, index: int) -> Target | None:
        return self._parameter_grad(self._node.parameters[index])

    def biases(self) -> Tensor:
        return self._builder.blocks.parameter("weights", self._node.parameters[None], self._place.device)

    def biases_grad(self) -> Target | None:
        return self._parameter_grad(self._node.parameters[None])

    def _parameter_grad(self, parameter: Parameter) -> Target | None:
        if not parameter.learns:
            return None
        device = self._place.device
        tensor = self._builder.blocks.parameter("gradients", parameter, device)
        return Target(tensor, self._builder.adds_to(parameter, device))

    def exact(self, which: int | str) -> Tensor:
        node = self._node
        parameter = node.statistics[which] if isinstance(which, str) else node.parameters[which]
        held = self._builder.blocks.parameter("weights", parameter, self._place.device)
        return held.view(parameter.matrix.size)

    def costs(self, values: int) -> Tensor:
        return self._builder.blocks.costs(self._place, values)

    def dropout_stream(self) -> dict[str, object]:
        # The stream follows from the name, so that editing other layers leaves this one's draws as they are.
        stream = zlib.crc32(self._node.name.encode())
        return {"seed": self._builder.seed, "stream": stream, "counter": self._builder.counter,
                "first_case": Bound.FIRST_CASE}  # fmt: skip

    def temporary(self, name: str, shape: tuple[int, ...]) -> Tensor:
        node, place = self._node, self._place
        memory = self._builder.blocks.block(
            ("temporary", node, place.replica, name), f"{node.name} {name}", place.device, math.prod(shape)
        )
        return Tensor(memory, shape)

    def whole(self, name: str, shape: tuple[int, ...]) -> Tensor:
        node, place = self._node, self._place
        key = "own", node, place.replica, name
        return self._builder.blocks.whole(key, f"{node.name} {name}", place.device, math.prod(shape)).view(*shape)

    def emit(self, operation: str, *arguments: object, **parameters: object) -> None:
        self._builder.emit(self._phase, self._place, operation, arguments, parameters)
