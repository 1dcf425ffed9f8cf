"""Values to text: the one way in which a cfg file is printed back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from convnet.config.keys import REQUIRED, Key
from convnet.config.kinds import Bool, Float, Int, Kind, ListOf, Maps, Names, split_items
from convnet.config.reader import Section


def section_text(name: str, lines: Iterable[tuple[str, str]]) -> str:
    """A section with these keys and values, as text that is read as the same."""
    return "".join([f"[{name}]\n", *(f"{key}={_escaped(value)}\n" for key, value in lines)])


def given_lines(keys: Sequence[Key], *sections: Section | None) -> list[tuple[str, str]]:
    """Name and value of each key that one of the sections gives, in the order of `keys`.

    Values are those of the first section that has the key. What equals the default is left out.
    """
    found: list[tuple[str, str]] = []
    for key in keys:
        texts = [section.entries[name].value for section in sections if section for name in key.names
                 if name in section.entries]  # fmt: skip
        if texts and not _is_default(key, texts[0]):
            found.append((key.name, _per_input(key, texts[0]) if key.per_input else canonical(key.kind, texts[0])))
    return found


def canonical(kind: Kind[object], text: str) -> str:
    """The text in the one way in which values of this kind are printed.

    `text` must be of the kind, and so is what is given; it stands for the same value.
    """
    if isinstance(kind, ListOf):
        return ",".join(canonical(kind.kind, item) for item in split_items(text))
    if isinstance(kind, Names):
        return ",".join(kind.parse(text))
    if isinstance(kind, (Int, Float, Bool, Maps)):
        return str(kind.parse(text)).removesuffix(".0").replace("True", "true").replace("False", "false")
    return re.sub(r"\s+;", ";", " ".join(text.split()))


def _per_input(key: Key, text: str) -> str:
    """A list with an item for each input; one item alone if all are the same."""
    items = [canonical(key.kind, item) for item in split_items(text)]
    return items[0] if len(set(items)) == 1 else ",".join(items)


def _is_default(key: Key, text: str) -> bool:
    if key.default is REQUIRED:
        return False
    if key.per_input:
        return all(key.kind.parse(item) == key.default for item in split_items(text))
    return key.kind.parse(text) == key.default


def _escaped(value: str) -> str:
    return value.replace("%", "%%").replace("${", "$${")
