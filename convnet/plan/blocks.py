"""The blocks of memory of a plan, by what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convnet.graph.layer_graph import Node
from convnet.layers.data import Data
from convnet.layers.neuron import Neuron
from convnet.plan.step import Plan, Portion
from convnet.tensor import Content, Memory, Tensor, memory_shape
from convnet.weights.layout import ParameterLayout
from convnet.weights.parameter import Parameter


@dataclass(frozen=True)
class Place:
    """One replica of a layer, at work on one part of the minibatch."""

    node: Node
    replica: int
    part: int

    @property
    def device(self) -> int:
        """Where it works."""
        return self.node.gpus[self.replica]

    def below(self, node: Node) -> Place:
        """The replica of an input layer, other than data, that has the same part."""
        return Place(node, self.part % len(node.gpus), self.part)


class Blocks:
    """Tensors of a plan. `layouts`: where parameters lie, by device."""

    def __init__(self, plan: Plan, layouts: Mapping[int, ParameterLayout]) -> None:
        self._plan, self._layouts = plan, layouts
        self._memories: dict[object, Memory] = {}  # by what they are for; names are for people

    @property
    def memories(self) -> list[Memory]:
        """All blocks of activations and gradients."""
        return list(self._memories.values())

    def block(
        self, key: object, name: str, device: int, numbers: int, content: Content = Content.ACTIVATIONS
    ) -> Memory:
        """The block of activations for this purpose."""
        return self._memories.setdefault((key, device), Memory(name, device, numbers, content=content))

    def whole(self, key: object, name: str, device: int, numbers: int) -> Tensor:
        """Numbers of the type of weights that have nothing to do with the number of cases."""
        memory = Memory(name, device, numbers, per_case=False, content=Content.EXACT)
        return Tensor(self._memories.setdefault((key, device), memory), (numbers,))

    def data(self, node: Node, portion: Portion) -> Tensor:
        """What a data layer gives to a device."""
        content = Content.EXACT if _is_label(node) else Content.ACTIVATIONS
        features = node.layer.shape.features
        return _tensor(self.block(("data", node, portion.part), node.name, portion.device, features, content), node)

    def ready(self, node: Node, portion: Portion) -> Tensor:
        """The same, where a minibatch comes ready and is written there."""
        data = self.data(node, portion)
        data.memory.pinned = True
        return self._plan.inputs.setdefault(node.name, {}).setdefault(portion, (data,))[0]

    def stored(self, node: Node, portion: Portion) -> tuple[Tensor, Tensor, Tensor]:
        """The values, the mean and the shifts that `data` is made of, where a minibatch comes as Pixels."""
        device, part, shape = portion.device, portion.part, node.layer.shape
        values = self.block(("values", node, part), f"{node.name} values", device, shape.features, Content.BYTES)
        pixels = _tensor(values, node)
        channels = pixels.shape[-1]
        shifts = self.block(("shifts", node, part), f"{node.name} shifts", device, channels, Content.EXACT)
        mean = self.whole(("mean", node), f"{node.name} mean", device, shape.features).view(*pixels.shape)
        for memory in (values, shifts, mean.memory):
            memory.pinned = True
        given = self._plan.inputs.setdefault(node.name, {})
        given.setdefault(portion, (pixels, Tensor(shifts, (channels,))))
        self._plan.means.setdefault(node.name, {}).setdefault(device, mean)
        return pixels, mean, given[portion][1]

    def data_gradient(self, node: Node, portion: Portion) -> Tensor:
        """The gradient of what a data layer gave to a device."""
        name = f"{node.name}.grad"
        memory = self.block(("data gradient", node, portion.part), name, portion.device, node.layer.shape.features)
        memory.pinned = True
        return self._plan.gradients.setdefault(node.name, {}).setdefault(portion, _tensor(memory, node))

    def output(self, place: Place) -> Tensor:
        """Where a replica's output lies: with its input's, if it is a neuron that works in place."""
        node = place.node
        base = node.inputs[0] if works_in_place(node) else node
        memory = self.block(("output", base, place.replica), base.name, place.device, base.layer.shape.features)
        return _tensor(memory, node)

    def copy(self, place: Place, device: int) -> Tensor:
        """A replica's output on another device."""
        node = place.node
        memory = self.block(("copy", node, place.replica), node.name, device, node.layer.shape.features)
        return _tensor(memory, node)

    def gradient(self, place: Place, device: int) -> Tensor:
        """The gradient of a replica's output, as far as it is computed on a device.

        Where the replica works it lies with the gradient of the in-place neuron above it.
        """
        node = place.node
        above = node.consumers[0] if node.consumers and works_in_place(node.consumers[0]) else node
        name = f"{above.name}.grad"
        memory = self.block(("gradient", above, place.replica), name, device, node.layer.shape.features)
        return _tensor(memory, node)

    def arrived(self, place: Place, source: int) -> Tensor:
        """A copy of what another device computed of the gradient of a replica's output."""
        node, name = place.node, f"{place.node.name}.grad from {source}"
        memory = self.block(("arrived", node, place.replica, source), name, place.device, node.layer.shape.features)
        return _tensor(memory, node)

    def costs(self, place: Place, values: int) -> Tensor:
        """The numbers that a cost layer gives for each case."""
        memory = self.block(("costs", place.node, place.part), place.node.name, place.device, values, Content.EXACT)
        memory.pinned = True
        found = self._plan.costs.setdefault(place.node.name, {})
        return found.setdefault(Portion(place.device, place.part), Tensor(memory, (values,)))

    def kept(self, place: Place) -> Tensor:
        """A copy of a replica's output that nothing overwrites: the replica may have other parts in later passes."""
        node = place.node
        memory = self.block(("kept", node, place.part), f"{node.name} kept", place.device, node.layer.shape.features)
        memory.pinned = True
        found = self._plan.kept.setdefault(node.name, {})
        return found.setdefault(Portion(place.device, place.part), _tensor(memory, node))

    def parameter(self, space: str, parameter: Parameter, device: int) -> Tensor:
        """A parameter's weights, rounded weights or gradients: a matrix, or a vector of biases."""
        matrix, offset = parameter.matrix, self._layouts[device].begin(parameter)
        name = f"{parameter.name}.grad" if space == "gradients" else parameter.name
        memory = Memory(name, device, matrix.size, per_case=False, space=space, offset=offset)
        return Tensor(memory, (matrix.size,) if parameter.index is None else matrix.shape)


def flat(space: str, device: int, begin: int, end: int) -> Tensor:
    """A piece of one of the flat arrays of a device."""
    return Tensor(Memory(space, device, end - begin, per_case=False, space=space, offset=begin), (end - begin,))


def _tensor(memory: Memory, node: Node) -> Tensor:
    return Tensor(memory, memory_shape(node.layer.shape.features, node.layer.shape.maps))


def _is_label(node: Node) -> bool:
    """Whether a data layer holds labels: whole numbers, which must not be rounded."""
    reading = [(above, index) for above in node.consumers for index, below in enumerate(above.inputs) if below is node]
    return any(index in above.layer.label_inputs for above, index in reading)


def comes_as_pixels(node: Node) -> bool:
    """Whether a data layer's minibatch is uploaded as it is stored, if the data has its images so.

    Layers of whole channels are made of bytes on the device, each for itself. The host makes the others ready: rows
    that are no whole channels, and labels, should an image be one.
    """
    layer = node.layer
    images = isinstance(layer, Data) and layer.values["dataIdx"] == 0 and layer.channels is not None
    return images and not _is_label(node)


def works_in_place(node: Node) -> bool:
    """Whether a neuron layer may overwrite its input: nobody else reads it, and the output gives the derivative."""
    if not isinstance(node.layer, Neuron) or not node.layer.function.from_output:
        return False
    below = node.inputs[0]
    alone = below.layer.type != "data" and len(below.consumers) == 1 and below.gpus == node.gpus
    return alone and not below.layer.reads_own_output


def fused_into_input(node: Node) -> bool:
    """Whether the layer below applies this neuron itself."""
    below = node.inputs[0]
    return works_in_place(node) and below.layer.fuses_neuron and not below.kept
