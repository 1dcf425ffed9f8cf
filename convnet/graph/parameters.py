"""Weights and biases of the layers, and which of them are shared (the key `weightSource`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convnet.graph.layer_graph import Node
from convnet.layers.base import Layer, LayerReport
from convnet.layers.filters import FilterLayer
from convnet.weights.initial import find_function
from convnet.weights.parameter import Parameter
from convnet.weights.schedule import ParameterSchedule

_FIXED = ParameterSchedule("const", 0.0)  # for nets without a parameter file


def check_functions(values: Mapping[str, Any], report: LayerReport) -> None:
    """Report functions for initial weights or biases that are not found. This imports the user's modules."""
    for key in ("initWFunc", "initBFunc"):
        if values.get(key) is not None:
            try:
                find_function(values[key])
            except ValueError as error:
                report.error(str(error), key)


def attach_parameters(node: Node, earlier: Mapping[str, Node], report: LayerReport) -> None:
    """Give the node its parameters: its own, or those of earlier layers that it shares."""
    layer = node.layer
    sources = _sources(layer, report)
    for index in range(len(layer.weights)):
        source = sources[index]
        if source is None:
            node.parameters[index] = _weights(layer, index)
            continue
        shared = _shared(node, index, source, earlier, report)
        if shared is not None:
            node.parameters[index] = shared
    if layer.biases is not None:
        node.parameters[None] = _biases(layer)


def _sources(layer: Layer, report: LayerReport) -> list[tuple[str, int] | None]:
    sources: list[tuple[str, int] | None] = layer.values.get("weightSource") or [None] * len(layer.weights)
    if len(sources) != len(layer.weights):
        items = f"{len(layer.weights)} item{'s' * (len(layer.weights) != 1)}"
        report.error(f"expected {items}, one for each input, found {len(sources)}", "weightSource")
        return [None] * len(layer.weights)
    return sources


def _weights(layer: Layer, index: int) -> Parameter:
    of = layer.learning
    return Parameter(
        layer.name, index, layer.weights[index], of["epsW"][index] or _FIXED, of["momW"][index] or 0.0,
        of["wc"][index], of["wball"][index],
    )  # fmt: skip


def _biases(layer: Layer) -> Parameter:
    assert layer.biases is not None
    return Parameter(layer.name, None, layer.biases, layer.learning["epsB"] or _FIXED, layer.learning["momB"] or 0.0)


def _shared(
    node: Node, index: int, source: tuple[str, int], earlier: Mapping[str, Node], report: LayerReport
) -> Parameter | None:
    """The parameter that matrix `index` of the node shares; None after reporting why it cannot."""
    name, position = source
    own, matrix = node.layer, node.layer.weights[index]
    other = node if name == own.name else earlier.get(name)
    problem = None
    if other is None:
        problem = f"expected an earlier layer, found '{name}'"
    elif other.layer.type != own.type:
        problem = f"expected a layer of type '{own.type}', but '{name}' has type '{other.layer.type}'"
    elif position not in other.parameters:
        problem = f"expected a matrix that comes earlier, found '{name}[{position}]'"
    elif other.gpus != node.gpus:
        problem = f"expected a layer on the same devices, but '{name}' runs on {','.join(map(str, other.gpus))}"
    elif other.layer.weights[position].shape != matrix.shape:
        found = other.layer.weights[position]
        problem = (
            f"expected weights of {matrix.rows}x{matrix.columns}, but '{name}[{position}]' has "
            f"{found.rows}x{found.columns}"
        )
    elif _window(other.layer, position) != _window(own, index):
        problem = f"expected weights for windows of the same size and channels, those of '{name}[{position}]' differ"
    if problem:
        report.error(problem, "weightSource")
        return None
    assert other is not None
    return other.parameters[position]


def _window(layer: Layer, index: int) -> tuple[int, int] | None:
    """Channels and side of the window that a matrix is for: they decide how its rows lie in memory."""
    if not isinstance(layer, FilterLayer):
        return None
    geometry = layer.geometries[index]
    return geometry.filter_channels, geometry.filter_size
