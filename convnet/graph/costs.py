"""What costs have to do with other layers: the ones they read, their children, and gradients that they merge."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from convnet.config.reader import CfgFile, Section
from convnet.graph.layer_graph import Node
from convnet.layers import layer_type
from convnet.layers.base import LayerReport
from convnet.layers.cost import CostLayer


def check_children(
    section: Section, values: Mapping[str, Any], layers: CfgFile, earlier: Collection[str], report: LayerReport
) -> None:
    """Report children of a cost that are not costs of its type before it, or that are named twice.

    section, values: a layer's. earlier: the names of the sections up to it.
    """
    own, names = layer_type(section.entries["type"].value), values.get("children") or ()
    for position, name in enumerate(names):
        entry = layers.sections[name].entries.get("type") if name in layers.sections else None
        wanted = f"costs of type {own.type} that come before this layer" if own else ""
        if name == section.name or name not in earlier:
            where = "" if name == section.name or entry is None else f", which is at {layers.sections[name].place}"
            report.error(f"expected {wanted}, found '{name}'{where}", "children")
        elif entry is not None and layer_type(entry.value) is not own:
            report.error(f"expected {wanted}, found '{name}' of type {entry.value}", "children")
        elif name in names[:position]:
            report.error(f"expected every child once, found '{name}' again", "children")


def link_cost(node: Node, earlier: Mapping[str, Node | None]) -> None:
    """Tell a cost which layers it reads, and its children."""
    layer = node.layer
    if isinstance(layer, CostLayer):
        layer.below = [below.layer for below in node.inputs]
        found = [earlier.get(name) for name in layer.values["children"] or ()]
        layer.children = [child.layer for child in found if child and isinstance(child.layer, CostLayer)]


def merge_gradients(nodes: Sequence[Node]) -> None:
    """Mark each layer whose derivative the cost above it takes over: its only reader, on the same devices."""
    for node in nodes:
        reader = node.consumers[0] if len(node.consumers) == 1 else None
        node.layer.merged = (
            reader is not None and isinstance(reader.layer, CostLayer) and reader.gpus == node.gpus
            and reader.layer.merges(reader.inputs.index(node))
        )  # fmt: skip
