"""Photographs named in a CSV file of path,label."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from convnet.data.class_folders import TEST_NAMES, TRAIN_NAMES
from convnet.data.decode import SUFFIXES
from convnet.data.making.source import Identity, Item, Place, read_file
from convnet.data.split import test_cases
from convnet.errors import ConvnetError

LARGEST_LABEL = 99_999  # a number beyond it is a slip, not a class: there would be as many classes
_COLUMNS = (2, 3)
_HEADINGS = (
    "label", "labels", "label_name", "label_id", "class", "classes", "class_name", "class_id", "category", "target",
)  # fmt: skip


class _Label(NamedTuple):
    """What a line says of an image's class, or classes."""

    line: int
    text: str

    @property
    def is_numbers(self) -> bool:
        """Whether these are whole numbers."""
        return all(map(_is_integer, self.text.split()))


@dataclass
class _Row:
    """An image. part: as it is written."""

    labels: list[_Label] = field(default_factory=list)
    part: str = ""


class Table:
    """A `Source`, whose fields are described there.

    A line names an image, relative to the CSV file's folder, and its class: a name, or a number, or several numbers
    with spaces between them. Lines that name the same image add up. A third column may say train or test. The first
    line may be a heading such as path,label.
    """

    def __init__(self, path: Path, test_share: float | None) -> None:
        """test_share: the part of each class that is tested on where no column says, see split.test_cases.

        Raises ConvnetError naming the line that is not as expected.
        """
        self.name, self._path = path.name, path
        self.folder: Path | None = None
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
            yield Item(name, Place(labels, tested), partial(read_file, self._path.parent / name))


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
    for number, (line, values) in enumerate(_lines(path, content)):
        if not number and _is_heading(path, values):
            continue
        where = f"{path}, line {line}"
        columns = columns or len(values)
        if len(values) != columns or columns not in _COLUMNS or not all(values):
            raise ConvnetError(f"{where}: expected path,label{_third(columns)}; found {values}")
        row = rows.setdefault(values[0], _Row())
        _note_part(row, values, where)
        row.labels.append(_Label(line, values[1]))
    if not rows:
        raise ConvnetError(f"{path}: expected lines of path,label, found none")
    return rows


def _lines(path: Path, content: str) -> Iterator[tuple[int, list[str]]]:
    """The number and the values of each line that is not empty."""
    reader = csv.reader(content.splitlines(keepends=True), strict=True, skipinitialspace=True)
    try:
        for fields in reader:
            values = [value.strip() for value in fields]
            if any(values):
                yield reader.line_num, values
    except csv.Error as error:
        raise ConvnetError(f"{path}, line {reader.line_num}: expected CSV: {error}") from error


def _is_heading(path: Path, values: Sequence[str]) -> bool:
    """Whether the first line names the columns: not an image that is there, and words of a heading or no image."""
    first, *others = values
    if not others or os.path.exists(path.parent / first):  # which, unlike Path.exists, takes any name
        return False
    is_image = PurePosixPath(first).suffix.lower() in SUFFIXES
    return others[0].lower() in _HEADINGS or not (is_image or _is_integer(others[0]))


def _third(columns: int) -> str:
    """What stands after path,label."""
    return {2: "", 3: ",train or path,label,test"}.get(columns, " or path,label,train|test")


def _note_part(row: _Row, values: Sequence[str], where: str) -> None:
    """Note the set that a line says an image belongs to."""
    part = values[2].lower() if len(values) > 2 else ""
    if part not in ("", *TRAIN_NAMES, *TEST_NAMES):
        raise ConvnetError(f"{where}: expected train or test in the third column, found '{values[2]}'")
    if row.labels and (row.part in TEST_NAMES) != (part in TEST_NAMES):
        raise ConvnetError(f"{where}: {values[0]} is both to train on and to test on")
    row.part = part


def _classes(path: Path, rows: list[_Row]) -> tuple[list[tuple[int, ...]], list[str]]:
    """The labels of each row, and the label names: those of the file sorted, or all numbers up to the largest."""
    words = [label for row in rows for label in row.labels if not label.is_numbers]
    if len(words) == 1 < sum(len(row.labels) for row in rows):  # a slip, after which no number would be a number
        raise ConvnetError(
            f"{path}, line {words[0].line}: expected a number as in the other lines, found '{words[0].text}'"
        )
    if words:
        names = sorted({label.text for row in rows for label in row.labels})
        index = {name: number for number, name in enumerate(names)}
        labels = [tuple(dict.fromkeys(index[label.text] for label in row.labels)) for row in rows]
    else:
        labels = [_numbers(path, row) for row in rows]
        names = [str(number) for number in range(max(map(max, labels)) + 1)]
    found = len({label for row in labels for label in row})
    if found < 2:
        raise ConvnetError(f"{path}: expected at least two classes, found {found}")
    return labels, names


def _is_integer(word: str) -> bool:
    """Whether a word is a whole number."""
    digits = word.removeprefix("-")
    return digits.isascii() and digits.isdecimal()


def _numbers(path: Path, row: _Row) -> tuple[int, ...]:
    """The labels of a row, which are numbers."""
    words = [(label.line, word) for label in row.labels for word in label.text.split()]
    for line, word in words:
        if word.startswith("-") or len(word) > len(str(LARGEST_LABEL)) or int(word) > LARGEST_LABEL:
            raise ConvnetError(f"{path}, line {line}: expected labels of 0 .. {LARGEST_LABEL}, found {word}")
    return tuple(dict.fromkeys(int(word) for _, word in words))
