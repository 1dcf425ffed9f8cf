"""Checks and links that need the whole net."""

from __future__ import annotations

from collections.abc import Sequence

from convnet.config.report import Report
from convnet.graph.layer_graph import Node
from convnet.graph.softmax import merge_gradients


def check_uses(nodes: Sequence[Node], report: Report) -> None:
    """Link every layer to its consumers; a layer that nobody uses, other than a cost, is an error."""
    for node in nodes:
        for below in node.inputs:
            below.consumers.append(node)
    for node in nodes:
        if not node.consumers and not node.layer.is_cost:
            section, kind = node.section, node.section.entries["type"].value
            text = f"a layer of type '{kind}' must be used: no layer has '{section.name}' as an input"
            report.error(text, place=section.place, section=section.name)
    merge_gradients(list(nodes))
