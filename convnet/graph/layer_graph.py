"""A net as a graph of layers, complete and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from convnet.config.reader import Section
from convnet.layers.base import Layer
from convnet.layers.cost import CostLayer
from convnet.weights.parameter import Parameter


@dataclass(eq=False)
class Node:
    """A layer in its graph.

    `section`: the layer file's; that of the layer below for what stands for its `neuron=`. `gpus`: the device of each
    replica, none for data layers. `parameters`: by matrix index, the biases under None.
    """

    layer: Layer
    section: Section
    inputs: list[Node] = field(default_factory=list)
    consumers: list[Node] = field(default_factory=list)
    gpus: tuple[int, ...] = ()
    parameters: dict[int | None, Parameter] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.name


def link_consumers(nodes: Sequence[Node]) -> None:
    """Tell every layer which layers read it, once for each time that one does."""
    for node in nodes:
        for below in node.inputs:
            below.consumers.append(node)


class LayerGraph:
    """All layers, inputs before consumers."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = list(nodes)
        self._by_name = {node.name: node for node in nodes}

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @property
    def data(self) -> list[Node]:
        """The data layers."""
        return [node for node in self.nodes if node.layer.type == "data"]

    @property
    def costs(self) -> list[CostLayer]:
        """The cost layers."""
        return [node.layer for node in self.nodes if isinstance(node.layer, CostLayer)]

    @property
    def parameters(self) -> list[Parameter]:
        """Every weight matrix and all biases, once each, in the order of the layers."""
        return list(dict.fromkeys(p for node in self.nodes for p in node.parameters.values()))

    @property
    def size(self) -> int:
        """The number of weights and biases."""
        return sum(parameter.matrix.size for parameter in self.parameters)
