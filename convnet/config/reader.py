"""Reads the text of cfg files into sections and keys that know their lines.

The grammar is that of Python's configparser, as cuda-convnet uses it:

- `[name]` begins a section; `key=value` or `key: value` stands in one. Names are case-sensitive, keys are not.
- A line whose first visible character is `#` or `;` is a comment. After a value only ` ;` begins one.
- A line indented deeper than its key continues the value.
- `%(key)s` stands for the value of another key of the section, `%%` for `%`.

What cuda-convnet has not: `${name}` in a value stands for a text, see `values`, and other files can be included, see
`sources`.

Sections and keys given twice are errors, and so is text after a section's `]`, unless it is a comment.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from convnet.config.interpolation import interpolate, referenced_keys
from convnet.config.report import Place, Report, quoted
from convnet.config.sources import Sources, entry_parts, is_comment, read_text, without_comment
from convnet.config.values import plain


@dataclass(frozen=True)
class Entry:
    """One key of a section: the key as written, its value, and where it stands.

    `broken` says that the value could not be made and that an error was reported: callers leave such an entry alone.
    """

    key: str
    value: str
    place: Place
    broken: bool = False


@dataclass(frozen=True)
class Section:
    """A section and its entries by lower-case key.

    `referenced` holds the lower-case keys that other values of the section refer to by `%(key)s`.
    """

    name: str
    place: Place
    entries: dict[str, Entry]
    referenced: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CfgFile:
    """A cfg file: its path as given, its text, and its sections by name, in the file's order.

    The text means the same without any other file: what is included is in it, and each `${name}` is replaced.
    `readable` is False if the file, or one it includes, could not be read, which was reported. `files` are the files
    that were read, as messages name them.
    """

    path: str
    text: str
    sections: dict[str, Section]
    readable: bool = True
    files: frozenset[str] = frozenset()


def read(path: Path | str, report: Report, folders: Sequence[Path] = ()) -> CfgFile:
    """The cfg file at `path`, in UTF-8. What is wrong goes to `report`; a file that cannot be read has no sections.

    folders: where files that it includes are looked for by name, besides the folder of the including file.
    """
    name = os.fspath(path)
    report.add_file(name)
    text = read_text(name, report)
    return CfgFile(name, "", {}, readable=False) if text is None else parse(text, name, report, folders)


def parse(text: str, name: str, report: Report, folders: Sequence[Path] = ()) -> CfgFile:
    """The cfg file with this text; `name` stands for it in messages. What is wrong goes to `report`."""
    sources = Sources(report, folders)
    sources.take(text, name)
    lines = _Lines(report, sources)
    for body in sources.bodies:
        lines.begin_file()
        for line, place in body:
            lines.add(line, place)
    sources.report_strays()
    sections = {section: _finished(raw, report) for section, raw in lines.sections.items()}
    same = sources.plain and not lines.changed
    return CfgFile(name, text if same else "\n".join([*lines.text, ""]), sections, sources.whole, sources.names)


@dataclass
class _RawEntry:
    key: str
    place: Place
    lines: list[str]
    broken: bool = False

    @property
    def text(self) -> str:
        return plain("\n".join(self.lines).rstrip())


@dataclass
class _RawSection:
    name: str
    place: Place
    entries: dict[str, _RawEntry] = field(default_factory=dict)


class _Lines:
    """Takes the lines of files one by one; `text` are the same lines with the values of each `${name}`.

    After a mistake it goes on, so that one mistake gives one error: what belongs to a section given twice, a key given
    twice or a line without meaning is read but kept nowhere.
    """

    def __init__(self, report: Report, sources: Sources) -> None:
        self.sections: dict[str, _RawSection] = {}
        self.text: list[str] = []
        self.changed = False
        self._report, self._sources = report, sources
        self._section: _RawSection | None = None
        self._open: _RawEntry | None = None
        self._indent = 0

    def begin_file(self) -> None:
        """The next line is the first of another file."""
        self._section = self._open = None
        self._indent = 0

    def add(self, line: str, place: Place) -> None:
        """Takes the next line."""
        self.text.append(line.rstrip("\n"))
        if is_comment(line):
            return
        content = without_comment(line)
        indent = len(line) - len(line.lstrip())
        if self._open is not None and (not content or indent > self._indent):
            self._continue(self._open, content, line[:indent], place)
        elif content.startswith("["):
            self._indent = indent
            self._begin_section(content, place)
        elif content and self._section is not None:
            self._indent = indent
            self._begin_entry(self._section, content, line[:indent], place)

    def _continue(self, entry: _RawEntry, content: str, margin: str, place: Place) -> None:
        expanded = self._expanded(entry, content, place)
        if expanded != content:
            self._change(margin + expanded)
        # A text that makes the line a comment is no part of the value.
        if not is_comment(expanded):
            entry.lines.append(expanded)

    def _change(self, line: str) -> None:
        """Values have changed the last line of the text to this one."""
        self.text[-1], self.changed = line, True

    def _expanded(self, entry: _RawEntry, text: str, place: Place) -> str:
        """The text with what each `${name}` in it stands for; after an error the entry is broken."""
        if "${" not in text:
            return text
        try:
            return without_comment(self._sources.values.expand(text))
        except ValueError as error:
            entry.broken = True
            section = self._section.name if self._section else None
            text_and_way = f"{error}{self._sources.included(place.file)}"
            self._report.error(text_and_way, place=place, section=section or None, key=entry.key)
            return text

    def _begin_section(self, content: str, place: Place) -> None:
        inside, bracket, rest = content[1:].partition("]")
        name = inside.strip()
        self._section = _RawSection(name, place)
        self._open = None
        if not name:
            self._report.error(f"expected [name], found {quoted(content)}", place=place)
        elif not bracket:
            self._report.error(f"expected ']' after the name of a section, found {quoted(content)}", place=place)
        elif rest.strip() and not rest.lstrip().startswith(("#", ";")):
            self._report.error(f"expected nothing after ']', found {quoted(rest)}", place=place, section=name)
        if name in self.sections:
            self._report.error(self._given_before(name, place), place=place, section=name)
        elif name:
            self.sections[name] = self._section

    def _given_before(self, name: str, place: Place) -> str:
        before = self.sections[name].place
        if before.file == place.file:
            return f"this section was given before, in line {before.line}"
        ways = [self._sources.included(file) for file in (before.file, place.file)]
        return f"this section was given before, at {before}{ways[0]}{ways[1].replace(';', '; the second one', 1)}"

    def _begin_entry(self, section: _RawSection, content: str, margin: str, place: Place) -> None:
        key, mark, value = entry_parts(content)
        self._open = entry = _RawEntry(key, place, [])
        expanded = self._expanded(entry, value, place)
        if expanded != value:
            self._change(f"{margin}{key}{mark}{expanded}")
        entry.lines.append(expanded)
        if not mark:
            self._report.error(f"expected key=value, found {quoted(content)}", place=place, section=section.name)
        elif not key:
            self._report.error(f"expected a key before '{mark}', found none", place=place, section=section.name)
        elif key.lower() in section.entries:
            line = section.entries[key.lower()].place.line
            self._report.error(f"given before, in line {line}", place=place, section=section.name or None, key=key)
        else:
            section.entries[key.lower()] = entry


def _finished(raw: _RawSection, report: Report) -> Section:
    texts = {key: entry.text for key, entry in raw.entries.items()}
    entries: dict[str, Entry] = {}
    for key, entry in raw.entries.items():
        try:
            entries[key] = Entry(entry.key, interpolate(key, texts), entry.place, entry.broken)
        except ValueError as error:
            report.error(str(error), place=entry.place, section=raw.name, key=entry.key)
            entries[key] = Entry(entry.key, texts[key], entry.place, broken=True)
    return Section(raw.name, raw.place, entries, referenced_keys(texts))
