"""Problems in cfg files, collected while reading goes on and raised together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convnet.errors import ConvnetError

_QUOTED_LETTERS = 60


@dataclass(frozen=True)
class Place:
    """A line of a file, the first being 1. Line 0 means the whole file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Problem:
    """One thing to say about a cfg file: `file:line: [section] key: text`, less the parts that are None."""

    place: Place | None
    section: str | None
    key: str | None
    text: str

    def __str__(self) -> str:
        place = "" if self.place is None else f"{self.place}: "
        section = "" if self.section is None else f"[{self.section}] "
        key = "" if self.key is None else f"{self.key}: "
        return _on_one_line(place + section + key + self.text)


class ConfigError(ConvnetError):
    """Everything that is wrong in the cfg files read; as a string, one problem per line.

    `problems` holds them in the order of the files and of the lines in each.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class Report:
    """Collects errors and notes, so that a user sees everything that is wrong at once."""

    def __init__(self) -> None:
        self._errors: dict[Problem, None] = {}
        self._notes: dict[Problem, None] = {}
        self._files: dict[str, int] = {}

    @property
    def errors(self) -> list[Problem]:
        """The errors so far, as they came."""
        return list(self._errors)

    @property
    def notes(self) -> list[Problem]:
        """The notes so far, as they came; what is said of a key in several sections of a file is said once."""
        alike: dict[tuple[str | None, str | None, str], list[Problem]] = {}
        for note in self._notes:
            file = note.place.file if note.place else None
            alike.setdefault((file, note.key and note.key.lower(), note.text), []).append(note)
        return [_together(notes) for notes in alike.values()]

    def add_file(self, name: str) -> None:
        """Gives the file `name` its place in the order of files, unless it has one."""
        self._files.setdefault(name, len(self._files))

    def error(
        self, text: str, *, place: Place | None = None, section: str | None = None, key: str | None = None
    ) -> None:
        """Adds an error; the same one is kept only once."""
        self._add(self._errors, Problem(place, section, key, text))

    def note(
        self, text: str, *, place: Place | None = None, section: str | None = None, key: str | None = None
    ) -> None:
        """Adds something the user should know that stops nothing; the same note is kept only once."""
        self._add(self._notes, Problem(place, section, key, text))

    def raise_if_errors(self) -> None:
        """Ends a stage of reading.

        Raises:
            ConfigError: with all errors so far, those without a place first, then by order of files and by line.
        """
        if self._errors:
            raise ConfigError(sorted(self._errors, key=self._order))

    def _add(self, problems: dict[Problem, None], problem: Problem) -> None:
        if problem.place is not None:
            self.add_file(problem.place.file)
        problems[problem] = None

    def _order(self, problem: Problem) -> tuple[int, int]:
        if problem.place is None:
            return (-1, 0)
        return (self._files[problem.place.file], problem.place.line)


def _together(notes: Sequence[Problem]) -> Problem:
    """One note for several that differ in their section alone, at the first one's place."""
    first, names = notes[0], [note.section for note in notes if note.section is not None]
    if first.key is None or len(notes) == 1 or len(names) < len(notes):
        return first
    return Problem(first.place, ", ".join(names), first.key, first.text)


def quoted(text: str) -> str:
    """A text from a file, for messages: in quotes, white space made single spaces, cut if long."""
    words = " ".join(text.split())
    return f"'{words[:_QUOTED_LETTERS]}...'" if len(words) > _QUOTED_LETTERS else f"'{words}'"


def _on_one_line(text: str) -> str:
    # A cfg file may hold anything; what is printed must not break lines or steer the terminal.
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
