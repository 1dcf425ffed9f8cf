"""The label matrix of 2012, whose number among the data provider's matrices was that of the labels."""

from __future__ import annotations

from dataclasses import replace

from convnet.config.reader import CfgFile, Section
from convnet.config.report import Report
from convnet.layers.data import LABEL_MATRIX

# As the costs over a matrix of targets were called then; their present names leave data layers as they are.
_COSTS = ("cost.crossent2", "cost.rflickr")
_LABELS = 1  # the labels' dataIdx


def with_label_matrix(layers: CfgFile, report: Report) -> CfgFile:
    """The layer file with dataIdx=2 in data layers of dataIdx=1 that only costs of 2012 over a matrix read.

    The data those costs were written for had the label matrix in the place of the labels.
    """
    sections = dict(layers.sections)
    for name, section in layers.sections.items():
        readers = [other for other in layers.sections.values() if name in _words(other, "inputs")]
        alike = readers and all(_words(other, "type")[0] in _COSTS for other in readers)
        if alike and _words(section, "type") == ["data"] and _words(section, "dataidx") == [str(_LABELS)]:
            entry = section.entries["dataidx"]
            text = f"is read as {LABEL_MATRIX}, the label matrix, which {_words(readers[0], 'type')[0]} took in 2012"
            report.note(f"{_LABELS} {text}", place=entry.place, section=name, key=entry.key)
            entries = {**section.entries, "dataidx": replace(entry, value=str(LABEL_MATRIX))}
            sections[name] = replace(section, entries=entries)
    return replace(layers, sections=sections)


def _words(section: Section, key: str) -> list[str]:
    """The words of a value, [""] without it."""
    entry = section.entries.get(key)
    return [word.strip() for word in entry.value.split(",")] if entry else [""]
