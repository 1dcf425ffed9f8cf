"""Gives the weights of a net their initial values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from convnet.errors import ConvnetError
from convnet.graph.layer_graph import LayerGraph, Node
from convnet.weights.initial import Array, biases_from_function, normal, weights_from_function
from convnet.weights.store import WeightStore


def initialize(graph: LayerGraph, store: WeightStore, seed: int) -> None:
    """Set all weights and biases as the layer file says.

    Raises:
        ConvnetError: if an initWFunc or initBFunc is not there or gives something else than expected.
    """
    for node in graph.nodes:
        for index, values in enumerate(_weights(node, seed)):
            if node.parameters[index].layer == node.name and node.parameters[index].index == index:
                store.set("weights", node.parameters[index], values)
        if None in node.parameters:
            store.set("weights", node.parameters[None], _biases(node))


def _weights(node: Node, seed: int) -> list[Array]:
    layer = node.layer
    if layer.values.get("initWFunc"):
        with _placed(node, "initWFunc"):
            return weights_from_function(layer.values["initWFunc"], layer.name, [m.shape for m in layer.weights])
    return [
        normal(seed, layer.name, index, matrix.shape, layer.values["initW"][index])
        for index, matrix in enumerate(layer.weights)
    ]


def _biases(node: Node) -> Array:
    layer, shape = node.layer, node.parameters[None].matrix.shape
    if layer.values.get("initBFunc"):
        with _placed(node, "initBFunc"):
            return biases_from_function(layer.values["initBFunc"], layer.name, shape)
    return np.full(shape, layer.values["initB"], np.float32)


@contextmanager
def _placed(node: Node, key: str) -> Iterator[None]:
    """Errors begin with the place of the key that names the function."""
    try:
        yield
    except ConvnetError as error:
        raise ConvnetError(f"{node.place_of(key)}: {error}") from error
