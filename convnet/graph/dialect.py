"""Whether files are of the release of 2012, for what means something else in cuda-convnet2."""

from __future__ import annotations

from convnet.config.reader import CfgFile

# What cuda-convnet2 has not: keys, and names of types. cuda-convnet has partialSum, but nothing that depends on this.
_KEYS = {"partialsum", "schedw", "schedb", "sched", "wcnorm", "quantf", "quantb"}
_TYPES = {"hs", "cost.crossent2", "cost.rflickr"}


def is_of_2012(*files: CfgFile | None) -> bool:
    """Whether one of a net's files has a key, or the name of a type, of the code of 2012."""
    sections = [section for file in files if file for section in file.sections.values()]
    types = {section.entries["type"].value for section in sections if "type" in section.entries}
    return bool(types & _TYPES) or any(_KEYS & section.entries.keys() for section in sections)
