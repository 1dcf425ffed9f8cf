"""The keys a section may have, and reading the values of a section by them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from convnet.config.kinds import Bool, Kind, ListOf, split_items
from convnet.config.nearest import nearest
from convnet.config.reader import Entry, Section
from convnet.config.report import Report
from convnet.config.sources import INCLUDE

_COMMENT_MARK = re.compile(r"\s#")


class Required(Enum):
    """The type of `REQUIRED`, which as the default of a key says that the key must be given."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED


@dataclass(frozen=True)
class Key:
    """A key and the values it takes.

    With `per_input` the value is a list with one item for each input of the layer; `kind` and `default` are those of an
    item. `aliases` are other names of the key. `in_layers`, of a key of the parameter file: a dialect has it in the
    layer file, where it may be given, too; the parameter file's value wins.
    """

    name: str
    kind: Kind[object]
    doc: str
    default: object = REQUIRED
    per_input: bool = False
    aliases: tuple[str, ...] = ()
    in_layers: bool = False

    @property
    def names(self) -> list[str]:
        """Its name and its aliases, in lower case."""
        return [name.lower() for name in (self.name, *self.aliases)]

    def given(self, section: Section | None) -> bool:
        """Whether the section has the key."""
        return section is not None and any(name in section.entries for name in self.names)


@dataclass(frozen=True)
class Ignored:
    """A key of an original dialect that has no effect here; `why` says what happens instead.

    `harmless` are the numbers (0 is false, too) and words that ask for nothing: with another value results differ from
    the original's. None if no value changes results.
    """

    name: str
    why: str
    harmless: tuple[float | str, ...] | None = None

    def note(self, value: str) -> str:
        """What to tell a user who wrote this value."""
        if self.harmless is None or all({item, _number(item)} & set(self.harmless) for item in split_items(value)):
            return f"has no effect here: {self.why}"
        return f"is not supported: {self.why}; the net differs from the original's"


def _number(text: str) -> float | None:
    """A number or a truth value as a number; None if it is neither."""
    for parse in (float, Bool().parse):
        try:
            return float(parse(text))
        except ValueError:
            continue
    return None


def read_values(
    section: Section | None,
    keys: Sequence[Key],
    *,
    ignored: Sequence[Ignored] = (),
    inputs: int = 1,
    report: Report,
    also_allowed: Collection[str] = (),
    misplaced: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, object]:
    """The values of a section by `Key.name`, defaults included.

    A key with `per_input` gives a list of `inputs` items; one item alone, or the default, is repeated. `also_allowed`
    are lower-case keys that the caller reads; `misplaced` says of the other file's keys, by lower-case name, that they
    belong there. Without a section every key has its default.

    Errors go to `report`: wrong values, missing and unknown keys. A key with an error is absent from the result.
    """
    values: dict[str, object] = {}
    for key in keys:
        entries = [] if section is None else _entries_of(key, section)
        if any(entry.broken for entry in entries):
            continue
        try:
            values[key.name] = _value(key, entries, inputs)
        except ValueError as error:
            if section is not None:
                place = entries[-1].place if entries else section.place
                report.error(str(error), place=place, section=section.name, key=_name(key, entries))
    if section is not None:
        _check_other_keys(section, keys, ignored, also_allowed, misplaced, report)
    return values


def _entries_of(key: Key, section: Section) -> list[Entry]:
    """What the section gives for the key and its aliases, in the order of lines."""
    entries = [section.entries[name] for name in key.names if name in section.entries]
    return sorted(entries, key=lambda entry: entry.place.line)


def _name(key: Key, entries: Sequence[Entry]) -> str:
    """What to call the key in a message: its name, or the alias that the section has."""
    written = entries[-1].key if entries else key.name
    return key.name if written.lower() == key.name.lower() else written


def _value(key: Key, entries: Sequence[Entry], inputs: int) -> object:
    if not entries and key.default is REQUIRED:
        raise ValueError(f"expected {key.kind.expected}, but the key is missing")
    if not entries:
        return [key.default] * inputs if key.per_input else key.default
    if len(entries) > 1:
        raise ValueError(f"given before as '{entries[0].key}', in line {entries[0].place.line}")
    text = entries[0].value
    try:
        return _per_input(ListOf(key.kind).parse(text), inputs) if key.per_input else key.kind.parse(text)
    except ValueError as error:
        raise ValueError(f"{error}{_hint(text)}") from error


def _per_input(items: list[object], inputs: int) -> list[object]:
    if len(items) == 1:
        return items * inputs
    if len(items) != inputs:
        counts = "1 item" if inputs == 1 else f"1 or {inputs} items"
        raise ValueError(f"expected {counts} (one per input), found {len(items)}")
    return items


def _hint(text: str) -> str:
    """What the user may not know about the grammar, if a wrong value looks like it."""
    if _COMMENT_MARK.search(text):
        return " (a comment after a value begins with ' ;')"
    if "\n" in text:
        return " (a line indented deeper than its key continues the value)"
    return ""


def _check_other_keys(
    section: Section, keys: Sequence[Key], ignored: Sequence[Ignored], also_allowed: Collection[str],
    misplaced: Mapping[str, str], report: Report,
) -> None:  # fmt: skip
    """Reports the keys of the section that are not in `keys`, as notes if they are ignored, else as errors."""
    names = [*(key.name for key in keys), *also_allowed]
    known = {name for key in keys for name in key.names} | set(also_allowed) | section.referenced
    without_effect = {key.name.lower(): key for key in ignored}
    for lower, entry in section.entries.items():
        if lower in without_effect:
            text = without_effect[lower].note(entry.value)
            report.note(text, place=entry.place, section=section.name, key=entry.key)
        elif lower not in known:
            text = misplaced.get(lower) or _unknown(lower, names)
            report.error(text, place=entry.place, section=section.name, key=entry.key)


def _unknown(key: str, names: Sequence[str]) -> str:
    if key == INCLUDE:
        return "expected before the first [section]: it takes in the sections of another file"
    close = nearest(key, names)
    if close is not None:
        return f"unknown key; did you mean '{close}'?"
    return f"unknown key; expected one of {', '.join(names)}" if names else "unknown key; no keys are known here"
