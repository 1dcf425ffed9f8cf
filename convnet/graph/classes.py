"""The net's number of classes: which layer decides it, and how to give the net another."""

from __future__ import annotations

from dataclasses import replace

from convnet.config.reader import CfgFile, Section
from convnet.config.report import Report


def output_layer(layers: CfgFile) -> Section | None:
    """The section of the fc layer below the softmax of the net's only cost.logreg; None if there is no such one."""
    costs = [section for section in layers.sections.values() if _value(section, "type") == "cost.logreg"]
    if len(costs) != 1:
        return None
    softmax = layers.sections.get(_value(costs[0], "inputs").split(",")[-1].strip())
    if softmax is None or _value(softmax, "type") != "softmax":
        return None
    below = layers.sections.get(_value(softmax, "inputs").strip())
    return below if below is not None and _value(below, "type") == "fc" else None


def with_classes(layers: CfgFile, classes: int, report: Report) -> CfgFile:
    """The same file with `classes` outputs in the layer below the softmax; an error if there is no one such layer."""
    section = output_layer(layers)
    if section is None or "outputs" not in section.entries:
        wanted = "one cost.logreg over a softmax over an fc layer, whose outputs it could set"
        report.error(f"{layers.path}: --classes: expected {wanted}")
        return layers
    entries = {**section.entries, "outputs": replace(section.entries["outputs"], value=str(classes))}
    return replace(layers, sections={**layers.sections, section.name: replace(section, entries=entries)})


def _value(section: Section, key: str) -> str:
    entry = section.entries.get(key)
    return entry.value if entry else ""
