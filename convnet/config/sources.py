"""A cfg file and the files that it includes: their lines, and the values that they define before their sections.

Before its first section a file may have lines of two kinds, `name=value` (see `values`) and `include=FILE`, which takes
in the sections of another file, before those of this one. A file's own definitions win over those of files it includes.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convnet.config.nearest import nearest
from convnet.config.report import Place, Report, quoted
from convnet.config.values import NAME, Definition, Values

_INLINE_COMMENT = re.compile(r"\s;")
_MARK = re.compile("[=:]")
INCLUDE = "include"

Lines = list[tuple[str, Place]]


def is_comment(line: str) -> bool:
    """Whether the first visible character of the line makes it a comment."""
    return line.lstrip().startswith(("#", ";"))


def without_comment(line: str) -> str:
    """The line less a comment behind ` ;`, stripped."""
    return _INLINE_COMMENT.split(line, maxsplit=1)[0].strip()


def entry_parts(content: str) -> tuple[str, str, str]:
    """Key, `=` or `:`, and value; the two last are empty if there is no such mark."""
    match = _MARK.search(content)
    if match is None:
        return content, "", ""
    return content[: match.start()].rstrip(), match[0], content[match.end() :].lstrip()


def read_text(name: str, report: Report, chain: str = "") -> str | None:
    """The text of the file, in UTF-8; None after an error, whose message ends with `chain`."""
    data = _bytes(name, report, chain)
    try:
        return None if data is None else data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        found = f"expected UTF-8 text, found the byte 0x{error.object[error.start]:02x}{chain}"
        report.error(found, place=Place(name, before.count(b"\n") + 1))
        return None


def _bytes(name: str, report: Report, chain: str) -> bytes | None:
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
    report.error(text + chain, place=Place(name, 0))
    return None


@dataclass(frozen=True)
class _Taken:
    """A file that was read: its name in messages, and the lines by which it was included, the nearest first."""

    name: str
    chain: tuple[Place, ...]


class Sources:
    """Reads a file's text and the files it includes.

    `bodies` are the lines of each file less its definitions, in the order of their sections; `values` what the files
    define; `whole` is False if a file could not be read; `plain` says that the file neither defines nor includes.
    """

    def __init__(self, report: Report, folders: Sequence[Path] = ()) -> None:
        """`folders`: where included files are looked for by name, besides the including file's folder."""
        self.bodies: list[Lines] = []
        self.values = Values()
        self.whole = True
        self.plain = True
        self._report, self._folders = report, folders
        self._includes = False
        self._own: list[Definition] = []
        self._repeated: list[tuple[Definition, Definition]] = []
        self._strays: dict[Place, str] = {}
        self._files: dict[str, _Taken] = {}

    @property
    def names(self) -> frozenset[str]:
        """The files read, as messages name them."""
        return frozenset(taken.name for taken in self._files.values())

    def take(self, text: str, name: str) -> None:
        """Read the text of the outermost file."""
        self._take(text, _Taken(name, ()), os.path.realpath(name))

    def included(self, name: str) -> str:
        """Where the file of this name is included, to end a message with; nothing for the outermost file."""
        return next((_told(taken.chain) for taken in self._files.values() if taken.name == name), "")

    def report_strays(self) -> None:
        """Report what stands before the first section of the outermost file and is nobody's value.

        To be called when all values were expanded. One mistake gives one error: where a section's header is missing,
        every line below it is such a line.
        """
        for before, definition in self._repeated:
            if self.values.asked(definition.name):
                text = f"given before, in line {before.place.line}"
                self._report.error(text, place=definition.place, key=definition.name)
        for definition in self._own:
            if self.values.asked(definition.name) or self.values.torn:
                continue
            if self.values.none_asked and not self._includes and (self._several or self._strays):
                self._strays[definition.place] = f"{definition.name}={definition.text}"
            else:
                self._report_unused(definition)
        names = {definition.place: definition.name for definition in self._own}
        for place in sorted(self._strays, key=lambda place: place.line)[:1]:
            used = f", or a value with '${{{names[place]}}}'; " if place in names else ", "
            self._report.error(f"expected a [section] first{used}found {quoted(self._strays[place])}", place=place)

    @property
    def _several(self) -> bool:
        """Whether the outermost file begins with more than one definition, as where a section's header is missing."""
        return len(self._own) + len(self._repeated) > 1

    def _report_unused(self, definition: Definition) -> None:
        near = self.values.near(definition.name)
        hint = f"; did you mean '{near}'?" if near else ""
        text = f"is defined, but no value uses '${{{definition.name}}}'{hint}"
        self._report.error(text, place=definition.place, key=definition.name)

    def _take(self, text: str, taken: _Taken, path: str) -> None:
        self._files[path] = taken
        self._report.add_file(taken.name)
        lines = [(line, Place(taken.name, n)) for n, line in enumerate(io.StringIO(text, newline=None), start=1)]
        first = next((i for i, (line, _) in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
        includes = self._preamble(lines[:first], taken)
        for value, place in includes:
            self._include(value, place, taken)
        self.bodies.append([item for item in lines[:first] if is_comment(item[0])] + lines[first:])

    def _preamble(self, lines: Lines, taken: _Taken) -> list[tuple[str, Place]]:
        """Take the definitions of a file; gives the values of its `include` lines."""
        includes: list[tuple[str, Place]] = []
        defined: dict[str, Definition] = {}
        for line, place in lines:
            content = "" if is_comment(line) else without_comment(line)
            key, mark, value = entry_parts(content)
            if key.lower() == INCLUDE and mark:
                includes.append((value, place))
            elif mark and NAME.fullmatch(key):
                self._define(Definition(key, value, place), defined)
            elif content:
                self._stray(content, place, taken)
        self.plain = self.plain and not includes and not defined
        self._includes = self._includes or bool(includes)
        self._own += [] if taken.chain else defined.values()
        return includes

    def _define(self, definition: Definition, defined: dict[str, Definition]) -> None:
        before = defined.setdefault(definition.name.lower(), definition)
        if before is definition:
            self.values.define(definition)
        else:
            self._repeated.append((before, definition))

    def _stray(self, content: str, place: Place, taken: _Taken) -> None:
        if taken.chain:
            text = f"expected name=value, include=FILE or a [section], found {quoted(content)}{_told(taken.chain)}"
            self._report.error(text, place=place)
        else:
            self._strays[place] = content

    def _include(self, value: str, place: Place, taken: _Taken) -> None:
        try:
            found = self._find(self.values.expand(value), Path(taken.name).parent)
            path = os.path.realpath(found)
            self._check_new(path, found, place, taken)
        except (ValueError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._report.error(f"{INCLUDE}: {reason}{_told(taken.chain)}", place=place)
            self.whole = False
            return
        inner = _Taken(found, (place, *taken.chain))
        text = read_text(found, self._report, _told(inner.chain))
        if text is None:
            self.whole = False
        else:
            self._take(text, inner, path)
            if all(is_comment(line) or not line.strip() for line in text.splitlines()):
                self._report.note(f"{INCLUDE}: {found} has neither a [section] nor a definition", place=place)

    def _find(self, value: str, folder: Path) -> str:
        """The file that `include=value` means in a file of this folder. Raises ValueError if there is none."""
        path = Path(value)
        bare = f"{path.name.removesuffix('.cfg')}.cfg"
        by_name = [inside / bare for inside in self._folders] if path.name == value else []
        # One that is there but is no file, such as a device, is never read: it might have no end.
        for candidate in (folder / path, folder / path.parent / bare, *by_name):
            if path.name and candidate.is_file():
                return os.path.normpath(candidate)
        near = nearest(path.stem, {known.stem for inside in (folder, *self._folders) for known in inside.glob("*.cfg")})
        hint = f"; did you mean '{near}'?" if near else ""
        raise ValueError(f"expected a cfg file relative to this one, or the name of a net, found {quoted(value)}{hint}")

    def _check_new(self, path: str, found: str, place: Place, taken: _Taken) -> None:
        """Raises ValueError if the file was read before, or is being read."""
        before = self._files.get(path)
        if before is None:
            return
        steps = [str(step) for step in (*reversed(taken.chain), place)]
        if before.name in [step.file for step in (*taken.chain, place)]:
            raise ValueError(f"expected a file that does not include itself, found {' > '.join([*steps, found])}")
        raise ValueError(f"the file {found} was included before, at {before.chain[0]}")


def _told(chain: Sequence[Place]) -> str:
    """How a file came to be read, to end a message with."""
    return f"; included at {', this at '.join(map(str, chain))}" if chain else ""
