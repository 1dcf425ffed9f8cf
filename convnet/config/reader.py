"""Reads the text of cfg files into sections and keys that know their lines.

The grammar is that of Python's configparser, as cuda-convnet uses it:

- `[name]` begins a section; `key=value` or `key: value` stands in one. Names are case-sensitive, keys are not.
- A line whose first visible character is `#` or `;` is a comment. After a value only ` ;` begins one.
- A line indented deeper than its key continues the value.
- `%(key)s` stands for the value of another key of the section, `%%` for `%`.

Sections and keys given twice are errors, and so is text after a section's `]`, unless it is a comment.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from convnet.config.interpolation import interpolate, referenced_keys
from convnet.config.report import Place, Report, quoted

_INLINE_COMMENT = re.compile(r"\s;")
_MARK = re.compile("[=:]")


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

    `readable` is False if the file could not be read, which was reported.
    """

    path: str
    text: str
    sections: dict[str, Section]
    readable: bool = True


def read(path: Path | str, report: Report) -> CfgFile:
    """The cfg file at `path`, in UTF-8. What is wrong goes to `report`; a file that cannot be read has no sections."""
    name = os.fspath(path)
    report.add_file(name)
    data = _bytes(name, report)
    try:
        return CfgFile(name, "", {}, readable=False) if data is None else parse(data.decode("utf-8-sig"), name, report)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        place = Place(name, before.count(b"\n") + 1)
        report.error(f"expected UTF-8 text, found the byte 0x{error.object[error.start]:02x}", place=place)
        return CfgFile(name, "", {}, readable=False)


def parse(text: str, name: str, report: Report) -> CfgFile:
    """The cfg file with this text; `name` stands for it in messages. What is wrong goes to `report`."""
    report.add_file(name)
    lines = _Lines(report)
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        lines.add(line, Place(name, number))
    sections = {section: _finished(raw, report) for section, raw in lines.sections.items()}
    return CfgFile(name, text, sections)


def _bytes(name: str, report: Report) -> bytes | None:
    try:
        return Path(name).read_bytes()
    except FileNotFoundError:
        text = "the file does not exist"
    except IsADirectoryError:
        text = "expected a file, found a directory"
    except OSError as error:
        text = f"the file cannot be read: {error.strerror}"
    except ValueError as error:
        text = f"expected the name of a file: {error}"
    report.error(text, place=Place(name, 0))
    return None


@dataclass
class _RawEntry:
    key: str
    place: Place
    lines: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()


@dataclass
class _RawSection:
    name: str
    place: Place
    entries: dict[str, _RawEntry] = field(default_factory=dict)


class _Lines:
    """Takes the lines of a file one by one.

    After a mistake it goes on, so that one mistake gives one error: what belongs to a section given twice, a key given
    twice or a line without meaning is read but kept nowhere, and text before the first section is reported once.
    """

    def __init__(self, report: Report) -> None:
        self.sections: dict[str, _RawSection] = {}
        self._report = report
        self._section: _RawSection | None = None
        self._open: _RawEntry | None = None
        self._indent = 0
        self._text_before_sections = False

    def add(self, line: str, place: Place) -> None:
        """Takes the next line."""
        if line.lstrip().startswith(("#", ";")):
            return
        content = _INLINE_COMMENT.split(line, maxsplit=1)[0].strip()
        indent = len(line) - len(line.lstrip())
        if self._open is not None and (not content or indent > self._indent):
            self._open.lines.append(content)
        elif content:
            self._indent = indent
            self._begin(content, place)

    def _begin(self, content: str, place: Place) -> None:
        if content.startswith("["):
            self._begin_section(content, place)
        elif self._section is not None:
            self._begin_entry(self._section, content, place)
        elif not self._text_before_sections:
            self._text_before_sections = True
            self._report.error(f"expected a [section] first, found {quoted(content)}", place=place)

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
            line = self.sections[name].place.line
            self._report.error(f"this section was given before, in line {line}", place=place, section=name)
        elif name:
            self.sections[name] = self._section

    def _begin_entry(self, section: _RawSection, content: str, place: Place) -> None:
        key, mark, value = _entry_parts(content)
        self._open = _RawEntry(key, place, [value])
        if not mark:
            self._report.error(f"expected key=value, found {quoted(content)}", place=place, section=section.name)
        elif not key:
            self._report.error(f"expected a key before '{mark}', found none", place=place, section=section.name)
        elif key.lower() in section.entries:
            line = section.entries[key.lower()].place.line
            self._report.error(f"given before, in line {line}", place=place, section=section.name or None, key=key)
        else:
            section.entries[key.lower()] = self._open


def _entry_parts(content: str) -> tuple[str, str, str]:
    """Key, `=` or `:`, and value; the two last are empty if there is no such mark."""
    match = _MARK.search(content)
    if match is None:
        return content, "", ""
    return content[: match.start()].rstrip(), match[0], content[match.end() :].lstrip()


def _finished(raw: _RawSection, report: Report) -> Section:
    texts = {key: entry.text for key, entry in raw.entries.items()}
    entries: dict[str, Entry] = {}
    for key, entry in raw.entries.items():
        try:
            entries[key] = Entry(entry.key, interpolate(key, texts), entry.place)
        except ValueError as error:
            report.error(str(error), place=entry.place, section=raw.name, key=entry.key)
            entries[key] = Entry(entry.key, texts[key], entry.place, broken=True)
    return Section(raw.name, raw.place, entries, referenced_keys(texts))
