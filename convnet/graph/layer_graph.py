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

    `section`: the layer file's; that of the layer below for what stands for its `neuron=` or `dropout=`. `params`: the
    parameter file's, if it has one. `gpus`: the device of each replica, none for data layers. `parameters`: by matrix
    index, the biases under None. `statistics`: by name. `kept`: tests keep the layer's output, for a caller to read.
    """

    layer: Layer
    section: Section
    inputs: list[Node] = field(default_factory=list)
    consumers: list[Node] = field(default_factory=list)
    gpus: tuple[int, ...] = ()
    parameters: dict[int | None, Parameter] = field(default_factory=dict)
    params: Section | None = None
    kept: bool = False
    statistics: dict[str, Parameter] = field(default_factory=dict)

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
        """Every weight matrix, all biases and all statistics, once each, in the order of the layers."""
        held = ((*node.parameters.values(), *node.statistics.values()) for node in self.nodes)
        return list(dict.fromkeys(parameter for parameters in held for parameter in parameters))

    @property
    def devices(self) -> int:
        """How many devices its `gpu` keys count on: one more than the highest number."""
        return 1 + max((gpu for node in self.nodes for gpu in node.gpus), default=0)

    @property
    def size(self) -> int:
        """The number of weights and biases."""
        return sum(parameter.matrix.size for parameter in self.parameters if parameter.statistic is None)
