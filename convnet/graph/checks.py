"""Checks that need the whole layer file: by the names in it, whatever else is wrong, or by the layers made of it."""

from __future__ import annotations

from collections.abc import Sequence

from convnet.config.reader import CfgFile, Section
from convnet.config.report import Place, Report
from convnet.graph.layer_graph import Node
from convnet.layers import layer_type
from convnet.layers.base import Layer, LayerReport


def check_uses(layers: CfgFile, report: Report) -> None:
    """Report layers other than costs that nobody uses; in a net that is otherwise fine also that there is no cost.

    Nothing is said where what is wrong hides which layer reads which.
    """
    sections = list(layers.sections.values())
    if not sections or _is_torn(layers, report) or not all(_is_wired(section, layers) for section in sections):
        return
    if not any(_is_cost(section) for section in sections):
        if not report.errors:
            text = "the net has no cost layer: nothing would be made small; add a cost.logreg or cost.sum2"
            report.error(text, place=Place(layers.path, 0))
        return
    used = {name for section in sections for name in _inputs(section)}
    for section in sections:
        if section.name not in used and not _is_cost(section):
            kind = section.entries["type"].value
            text = f"a layer of type '{kind}' must be used: no layer has '{section.name}' as an input"
            report.error(text, place=section.place, section=section.name)


def check_gradients_pass(nodes: Sequence[Node], report: Report) -> None:
    """Report layers without a gradient above weights that learn. nodes: inputs before consumers.

    In a net that is otherwise fine also weights that no cost gives a gradient because they lie below targets alone.
    """
    learners: dict[Node, str] = {}  # by layer, one of those below it, or itself, that learn
    for node in nodes:
        below = [learners[source] for source in node.inputs if source in learners]
        if below and not node.layer.passes_gradient:
            text = f"'{node.layer.type}' passes no gradient, but below it '{below[0]}' has weights that learn"
            LayerReport(report, node.section).error(f"a layer of type {text}", "inputs")
        elif below or any(parameter.learns for parameter in node.parameters.values()):
            learners[node] = below[0] if below else node.name
    if not report.errors:
        _check_targets(nodes, report)


def _check_targets(nodes: Sequence[Node], report: Report) -> None:
    """Report costs over targets that are all that weights which learn are good for."""
    learning = {parameter for node in _reached(nodes) for parameter in node.parameters.values()}
    lost: dict[Node, str] = {}  # by layer, one of those below it, or itself, whose weights get no gradient
    for node in nodes:
        below = [(index, lost[source]) for index, source in enumerate(node.inputs) if source in lost]
        targets = [name for index, name in below if index in node.layer.target_inputs]
        if targets:
            text = f"passes no gradient to its targets, but below them '{targets[0]}' has weights that learn"
            wanted = f"a layer of type '{node.layer.type}' {text}"
            LayerReport(report, node.section).error(f"{wanted}, and no cost reaches them another way", "inputs")
        elif below or any(parameter.learns for parameter in {*node.parameters.values()} - learning):
            lost[node] = below[0][1] if below else node.name


def _reached(nodes: Sequence[Node]) -> set[Node]:
    """The layers that get a gradient, costs included."""
    reached = {node for node in nodes if node.layer.is_cost}
    for node in reversed(nodes):
        if node in reached and node.layer.passes_gradient:
            targets = node.layer.target_inputs
            reached |= {source for index, source in enumerate(node.inputs) if index not in targets}
    return reached


def _is_torn(layers: CfgFile, report: Report) -> bool:
    """Whether lines or sections were lost in reading the file: errors without a key, other than about a layer."""
    places = {section.place for section in layers.sections.values()}
    return any(
        error.place is not None and error.place.file in layers.files and error.key is None and error.place not in places
        for error in report.errors
    )


def _is_wired(section: Section, layers: CfgFile) -> bool:
    """Whether the layer has a known type and as many inputs as that takes, all of them other layers with outputs."""
    cls, names = _type(section), _inputs(section)
    if cls is None:
        return False
    fewest, most = cls.inputs_range
    return fewest <= len(names) <= most and all(
        name in layers.sections and name != section.name and not _is_cost(layers.sections[name]) for name in names
    )


def _inputs(section: Section) -> Sequence[str]:
    entry = section.entries.get("inputs")
    return [] if entry is None else [name.strip() for name in entry.value.split(",")]


def _is_cost(section: Section) -> bool:
    cls = _type(section)
    return cls is not None and cls.is_cost


def _type(section: Section) -> type[Layer] | None:
    entry = section.entries.get("type")
    return None if entry is None else layer_type(entry.value)
