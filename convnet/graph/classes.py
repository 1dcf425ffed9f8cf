"""The net's number of classes: which layer decides it, and how to give the net another."""

from __future__ import annotations

from dataclasses import replace

from convnet.config.reader import CfgFile, Section
from convnet.config.report import Report
from convnet.layers import layer_type
from convnet.layers.data import LABEL_MATRIX

# By type of the costs whose probabilities may be those of classes: what lies between them and the fc layer.
_BETWEEN = {
    "cost.logreg": "softmax",
    "cost.crossent": "softmax",
    "cost.bce": "neuron",
    "cost.dce": "neuron",
    "cost.cauchy": "neuron",
}


def output_layer(layers: CfgFile) -> Section | None:
    """The section of the fc layer whose outputs are the classes; None if there is no such one.

    It lies below the softmax or the neuron that the costs of the labels, or of the label matrix, read: all of them.
    """
    costs = [section for section in layers.sections.values() if _tells_classes(section, layers)]
    found = [_layer_below(cost, layers) for cost in costs]
    return found[0] if found and all(section is found[0] for section in found) else None


def _layer_below(cost: Section, layers: CfgFile) -> Section | None:
    """The section of the fc layer whose outputs a cost takes for classes; None if it reads something else."""
    between, found = _BETWEEN[_type(cost)], layers.sections.get(_inputs(cost)[-1])
    if found is not None and _value(found, "type") == between:
        found = layers.sections.get(_inputs(found)[0])
    elif between == "softmax":
        return None
    return found if found is not None and _value(found, "type") == "fc" else None


def _tells_classes(section: Section, layers: CfgFile) -> bool:
    """Whether a section is a cost with a probability for each class."""
    kind, labels = _type(section), layers.sections.get(_inputs(section)[0])
    if kind not in _BETWEEN or kind == "cost.logreg" or labels is None:
        return kind == "cost.logreg"
    whole = not any(_value(labels, key) for key in ("start", "end"))
    return whole and _value(labels, "dataidx") == str(LABEL_MATRIX)


def with_classes(
    layers: CfgFile, params: CfgFile | None, classes: int, report: Report
) -> tuple[CfgFile, CfgFile | None]:
    """The same files with `classes` outputs in the layer that tells classes; an error if there is no one such layer.

    Where the cost counts top-k errors with more guesses than that, k becomes `classes`.
    """
    section = output_layer(layers)
    if section is None or "outputs" not in section.entries:
        wanted = "one fc layer below all costs of classes (cost.logreg over a softmax, or costs of the label matrix)"
        report.error(f"{layers.path}: --classes: expected {wanted}, whose outputs it could set")
        return layers, params
    for name in [name for name, found in layers.sections.items() if _value(found, "type") == "cost.logreg"]:
        guesses = _value(params.sections[name], "topk") if params and name in params.sections else ""
        if params and guesses.isdecimal() and int(guesses) > classes:
            params = _with_value(params, name, "topk", classes)
    return _with_value(layers, section.name, "outputs", classes), params


def _with_value(file: CfgFile, name: str, key: str, value: int) -> CfgFile:
    section = file.sections[name]
    entries = {**section.entries, key: replace(section.entries[key], value=str(value))}
    return replace(file, sections={**file.sections, name: replace(section, entries=entries)})


def _type(section: Section) -> str:
    """The layer type's own name, whatever a dialect calls it."""
    found = layer_type(_value(section, "type"))
    return found.type if found else ""


def _inputs(section: Section) -> list[str]:
    return [name.strip() for name in _value(section, "inputs").split(",")]


def _value(section: Section, key: str) -> str:
    entry = section.entries.get(key)
    return entry.value if entry else ""
