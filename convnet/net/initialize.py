"""Gives the weights of a net their initial values."""

from __future__ import annotations

import numpy as np

from convnet.config.report import Report
from convnet.graph.layer_graph import LayerGraph, Node
from convnet.layers.base import LayerReport
from convnet.weights.initial import Array, from_function, normal
from convnet.weights.store import WeightStore


def initialize(graph: LayerGraph, store: WeightStore, seed: int) -> None:
    """Set all weights and biases as the layer file says, and statistics to what they are before any minibatch.

    Raises:
        ConfigError: every initWFunc and initBFunc that is not there, fails or gives something else than expected.
    """
    report = Report()
    for node in graph.nodes:
        for index, parameter in node.parameters.items():
            values = _values(node, index, seed, report)
            if values is not None and (parameter.layer, parameter.index) == (node.name, index):
                store.set("weights", parameter, values)
        for parameter in node.statistics.values():
            store.set("weights", parameter, np.full(parameter.matrix.shape, parameter.matrix.initial, np.float32))
    report.raise_if_errors()


def _values(node: Node, index: int | None, seed: int, report: Report) -> Array | None:
    """Initial values of matrix `index`, the biases under None; None after reporting an error."""
    layer, matrix = node.layer, node.parameters[index].matrix
    shape = matrix.shape
    if matrix.initial is not None:
        return np.full(shape, matrix.initial, np.float32)
    key = "initBFunc" if index is None else "initWFunc"
    if layer.values[key] is not None:
        try:
            return from_function(layer.values[key], layer.name, index, shape)
        except ValueError as error:
            LayerReport(report, node.section).error(str(error), key)
            return None
    if index is None:
        return np.full(shape, layer.values["initB"], np.float32)
    return normal(seed, layer.name, index, shape, layer.values["initW"][index])
