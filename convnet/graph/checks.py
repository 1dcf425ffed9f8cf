"""Checks and links that need the whole net."""

from __future__ import annotations

from collections.abc import Sequence

from convnet.config.reader import CfgFile
from convnet.config.report import Report
from convnet.graph.layer_graph import Node
from convnet.graph.softmax import merge_gradients


def check_uses(nodes: Sequence[Node], layers: CfgFile, report: Report) -> None:
    """Link every layer to its consumers; a layer that nobody uses, other than a cost, is an error."""
    for node in nodes:
        for below in node.inputs:
            below.consumers.append(node)
    for node in nodes:
        if not node.consumers and not node.layer.is_cost:
            section = layers.sections.get(node.name) or layers.sections[node.layer.inputs[0]]
            report.error(f"a layer of type '{node.layer.type}' must be used: no layer has '{section.name}' as an input",
                         place=section.place, section=section.name)  # fmt: skip
    merge_gradients(list(nodes))
