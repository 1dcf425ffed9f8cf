"""Photographs named in a CSV file of path,label."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from convnet.data.class_folders import TEST_NAMES, TRAIN_NAMES
from convnet.data.making.source import Identity, Item, read_file
from convnet.data.split import test_cases
from convnet.errors import ConvnetError

LARGEST_LABEL = 99_999  # a number beyond it is a slip, not a class: there would be as many classes
_COLUMNS = (2, 3)


@dataclass
class _Row:
    """An image. line: where in the file it is first named. labels: as they are written. part: as it is written."""

    line: int
    labels: list[str] = field(default_factory=list)
    part: str = ""


class Table:
    """A `Source`, whose fields are described there.

    A line names an image, relative to the CSV file's folder, and its class: a name, or a number, or several numbers
    with spaces between them. Lines that name the same image add up. A third column may say train or test. The first
    line may be the heading path,label.
    """

    def __init__(self, path: Path, test_share: float | None) -> None:
        """test_share: the part of each class that is tested on where no column says, see split.test_cases.

        Raises ConvnetError naming the line that is not as expected.
        """
        self.name, self._path = path.name, path
        content = _content(path)
        rows = _rows(path, content)
        self._names = list(rows)
        self._labels, self.label_names = _classes(path, list(rows.values()))
        parts = [row.part for row in rows.values()]
        if any(parts) and test_share is not None:
            raise ConvnetError(f"{path}: a test share was given, but the data has a test set of its own")
        if any(parts):
            self._tested = [part in TEST_NAMES for part in parts]
        else:
            firsts = np.array([labels[0] for labels in self._labels], np.int64)
            self._tested = test_cases(firsts, test_share).tolist()
        self.total: int | None = len(self._names)
        lines = hashlib.sha256(content.encode()).hexdigest()
        self.identity: Identity = {"table": str(path.resolve()), "lines": lines, "test share": test_share}

    def items(self, start: int) -> Iterator[Item]:
        """See Source."""
        for name, labels, tested in islice(zip(self._names, self._labels, self._tested, strict=True), start, None):
            yield Item(name, labels, tested, partial(read_file, self._path.parent / name))


def _content(path: Path) -> str:
    """The text of the file."""
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise ConvnetError(f"{path}: expected a CSV file in UTF-8: {error}") from error


def _rows(path: Path, content: str) -> dict[str, _Row]:
    """What the file says of each image."""
    rows: dict[str, _Row] = {}
    columns = 0
    reader = csv.reader(content.splitlines(keepends=True), strict=True, skipinitialspace=True)

    def where() -> str:
        return f"{path}, line {reader.line_num}"

    try:
        for number, fields in enumerate(reader):
            values = [value.strip() for value in fields]
            if not any(values) or (not number and values[0].lower() == "path"):
                continue
            columns = columns or len(values)
            if len(values) != columns or columns not in _COLUMNS or not all(values):
                raise ConvnetError(f"{where()}: expected path,label{_third(columns)}; found {values}")
            _add(rows.setdefault(values[0], _Row(reader.line_num)), values, where())
    except csv.Error as error:
        raise ConvnetError(f"{where()}: expected CSV: {error}") from error
    if not rows:
        raise ConvnetError(f"{path}: expected lines of path,label, found none")
    return rows


def _third(columns: int) -> str:
    """What stands after path,label."""
    return {2: "", 3: ",train or path,label,test"}.get(columns, " or path,label,train|test")


def _add(row: _Row, values: list[str], where: str) -> None:
    """Add what a line says."""
    part = values[2].lower() if len(values) > 2 else ""
    if part not in ("", *TRAIN_NAMES, *TEST_NAMES):
        raise ConvnetError(f"{where}: expected train or test in the third column, found '{values[2]}'")
    if row.labels and (row.part in TEST_NAMES) != (part in TEST_NAMES):
        raise ConvnetError(f"{where}: {values[0]} is both to train on and to test on")
    row.part = part
    row.labels.append(values[1])


def _classes(path: Path, rows: list[_Row]) -> tuple[list[tuple[int, ...]], list[str]]:
    """The labels of each row, and the label names: those of the file sorted, or all numbers up to the largest."""
    if all(map(_is_integer, (word for row in rows for label in row.labels for word in label.split()))):
        numbers = [_numbers(path, row) for row in rows]
        return numbers, [str(number) for number in range(max(map(max, numbers)) + 1)]
    names = sorted({label for row in rows for label in row.labels})
    index = {name: number for number, name in enumerate(names)}
    return [tuple(dict.fromkeys(index[label] for label in row.labels)) for row in rows], names


def _is_integer(word: str) -> bool:
    """Whether a word is a whole number."""
    digits = word.removeprefix("-")
    return digits.isascii() and digits.isdecimal()


def _numbers(path: Path, row: _Row) -> tuple[int, ...]:
    """The labels of a row, which are numbers."""
    words = [word for label in row.labels for word in label.split()]
    for word in words:
        if word.startswith("-") or len(word) > len(str(LARGEST_LABEL)) or int(word) > LARGEST_LABEL:
            raise ConvnetError(f"{path}, line {row.line}: expected labels of 0 .. {LARGEST_LABEL}, found {word}")
    return tuple(dict.fromkeys(map(int, words)))
