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


def with_classes(
    layers: CfgFile, params: CfgFile | None, classes: int, report: Report
) -> tuple[CfgFile, CfgFile | None]:
    """The same files with `classes` outputs in the layer below the softmax; an error if there is no one such layer.

    Where the cost counts top-k errors with more guesses than that, k becomes `classes`.
    """
    section = output_layer(layers)
    if section is None or "outputs" not in section.entries:
        wanted = "one cost.logreg over a softmax over an fc layer, whose outputs it could set"
        report.error(f"{layers.path}: --classes: expected {wanted}")
        return layers, params
    cost = next(name for name, found in layers.sections.items() if _value(found, "type") == "cost.logreg")
    guesses = _value(params.sections[cost], "topk") if params and cost in params.sections else ""
    if params and guesses.isdecimal() and int(guesses) > classes:
        params = _with_value(params, cost, "topk", classes)
    return _with_value(layers, section.name, "outputs", classes), params


def _with_value(file: CfgFile, name: str, key: str, value: int) -> CfgFile:
    section = file.sections[name]
    entries = {**section.entries, key: replace(section.entries[key], value=str(value))}
    return replace(file, sections={**file.sections, name: replace(section, entries=entries)})


def _value(section: Section, key: str) -> str:
    entry = section.entries.get(key)
    return entry.value if entry else ""
