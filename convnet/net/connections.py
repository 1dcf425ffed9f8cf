"""The connections of a net with random sparse connectivity: drawn or given, kept, and put back.

They lie in the layers, from where the plan takes them whenever steps are prepared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from convnet.config.report import Report
from convnet.graph.layer_graph import LayerGraph, Node
from convnet.layers.base import LayerReport
from convnet.layers.filters import FilterLayer
from convnet.weights.connections import checked_connections, drawn, from_init_function

Array = np.ndarray[Any, Any]


def connect(graph: LayerGraph, seed: int, *, functions: bool) -> None:
    """Give all layers with randSparse connections: those of initCFunc (`functions`: call it), else drawn ones.

    An input that shares its matrix shares the connections too, unless its layer has an initCFunc.

    Raises:
        ConfigError: every initCFunc that is not there, fails or gives something else than expected.
    """
    report, sources = Report(), dict[tuple[str, int | None], Array]()
    for node, layer, index, table in _tables(graph):
        owner, call, sizes = node.parameters[index], layer.values["initCFunc"], _sizes(layer, index)
        if call is not None and functions:
            try:
                table[:] = from_init_function(call, layer.name, index, *sizes)
            except ValueError as error:
                LayerReport(report, node.section).error(str(error), "initCFunc")
        elif call is None and (owner.layer, owner.index) != (node.name, index):
            table[:] = sources[owner.layer, owner.index]
        else:
            table[:] = drawn(seed, layer.name, index, *sizes)
        sources[node.name, index] = table
    report.raise_if_errors()


def connections(graph: LayerGraph) -> dict[str, Array]:
    """Copies of all connections by name, such as `conv1.connections.0`: (groups, filterChannels) int32 each."""
    return {_name(node, index): table.copy() for node, _, index, table in _tables(graph)}


def set_connections(graph: LayerGraph, found: Mapping[str, Array]) -> None:
    """Set all connections to what `connections` gave.

    Raises:
        ValueError: for connections that are missing or not this net's.
    """
    for node, layer, index, table in _tables(graph):
        name = _name(node, index)
        if name not in found:
            raise ValueError(f"expected '{name}' of shape {table.shape}, found nothing")
        try:
            table[:] = checked_connections(found[name], *_sizes(layer, index))
        except ValueError as error:
            raise ValueError(f"'{name}': {error}") from error


def _tables(graph: LayerGraph) -> Iterator[tuple[Node, FilterLayer, int, Array]]:
    """Node, layer, input and connections of all inputs that have some, in the order of the layers."""
    for node in graph.nodes:
        layer = node.layer
        if isinstance(layer, FilterLayer):
            for index, table in enumerate(layer.connections):
                if table is not None:
                    yield node, layer, index, table


def _sizes(layer: FilterLayer, index: int) -> tuple[int, int, int]:
    """Groups, channels, filterChannels."""
    geometry = layer.geometries[index]
    return geometry.groups, layer.input_maps[index].channels, geometry.filter_channels


def _name(node: Node, index: int) -> str:
    return f"{node.name}.connections.{index}"
