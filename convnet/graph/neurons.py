"""`neuron=` on a layer: a neuron layer of its own behind it."""

from __future__ import annotations

from collections.abc import Collection

from convnet.graph.layer_graph import Node
from convnet.layers.neuron import Neuron


def neuron_node(node: Node, taken: Collection[str]) -> Node:
    """The neuron layer that stands for the key `neuron` of this layer.

    It is called `<name>_neuron`, with `.1`, `.2` ... behind it if a layer of the file has that name.
    """
    name, number = f"{node.name}_neuron", 0
    while name in taken:
        number += 1
        name = f"{node.name}_neuron.{number}"
    neuron = Neuron(name, [node.name], {"neuron": node.layer.values["neuron"]}, {})
    neuron.input_shapes = [node.layer.shape]
    neuron.shape = node.layer.shape
    return Node(neuron, node.section, [node], gpus=node.gpus)
