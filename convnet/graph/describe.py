"""A graph as plain values, for printing and for JSON."""

from __future__ import annotations

from typing import Any

from convnet.graph.layer_graph import LayerGraph, Node


def describe(graph: LayerGraph) -> dict[str, Any]:
    """The net's number of parameters and its layers.

    Of each layer: name, type, inputs, outputs (their number), maps ([channels, y, x] or None), weights ([rows, columns]
    of each matrix), biases ([rows, columns] or None), gpu (the devices it runs on) and replicas.
    """
    return {"parameters": graph.size, "layers": [_layer(node) for node in graph.nodes]}


def _layer(node: Node) -> dict[str, Any]:
    layer = node.layer
    return {
        "name": node.name,
        "type": layer.type,
        "inputs": [below.name for below in node.inputs],
        "outputs": layer.shape.features,
        "maps": list(layer.shape.maps) if layer.shape.maps else None,
        "weights": [list(matrix.shape) for matrix in layer.weights],
        "biases": list(layer.biases.shape) if layer.biases else None,
        "gpu": list(node.gpus),
        "replicas": max(1, len(node.gpus)),
    }
