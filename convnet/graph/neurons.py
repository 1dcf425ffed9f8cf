"""`neuron=` and `dropout=` on a layer: layers of their own behind it."""

from __future__ import annotations

from collections.abc import Collection

from convnet.graph.layer_graph import Node
from convnet.layers.base import Layer
from convnet.layers.dropout import Dropout2
from convnet.layers.neuron import Neuron


def detached_nodes(node: Node, taken: Collection[str]) -> list[Node]:
    """The layers that stand for the keys `dropout` and `neuron` of this layer, in this order, each over the one before.

    They are called `<name>_dropout` and `<name>_neuron`, with `.1`, `.2` ... behind it if a layer of the file (`taken`)
    has that name.
    """
    layer, found = node.layer, [node]
    if layer.learning.get("dropout"):
        keep = {"keep": 1.0 - layer.learning["dropout"], "enable": True}
        found.append(_node(Dropout2(_free(f"{node.name}_dropout", taken), [node.name], {}, keep), node, node))
    if layer.takes_neuron and layer.values.get("neuron"):
        function, below = {"neuron": layer.values["neuron"]}, found[-1]
        found.append(_node(Neuron(_free(f"{node.name}_neuron", taken), [below.name], function, {}), below, node))
    return found[1:]


def _node(layer: Layer, below: Node, of: Node) -> Node:
    layer.input_shapes = [below.layer.shape]
    layer.shape = below.layer.shape
    return Node(layer, of.section, [below], gpus=of.gpus)


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 0, name
    while free in taken:
        number += 1
        free = f"{name}.{number}"
    return free
