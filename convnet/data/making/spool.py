"""Images as they will be stored, in the order of their source: numbered segments that are done once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from convnet.data.archive import READ_ERRORS
from convnet.data.augment import Array, Integers
from convnet.data.making.encode import Form, Size, stored
from convnet.data.making.options import MakeOptions, Progress
from convnet.data.making.pool import in_order
from convnet.data.making.source import Item, Source
from convnet.data.making.work import Work
from convnet.data.shards import BAD_IMAGES
from convnet.errors import ConvnetError

# Of a segment, as JSON holds it: of each image the bytes, the shape (y, x), the labels, and whether it is in the test
# set; of the bad ones name and reason.
_Table = dict[str, list[Any]]
_COLUMNS = ("sizes", "shapes", "labels", "test", "bad")
_STAGE = "reading images"


@dataclass(frozen=True)
class _Ready:
    """An image of the source as it will be stored, or the reason why it will not."""

    item: Item
    jpeg: bytes
    shape: Size
    reason: str | None


class Spool:
    """The images of all segments, n in all, and the names and reasons of the bad ones.

    shapes: (n, 2) y, x. labels: of each image its labels. test: (n,) whether it is in the test set.
    """

    def __init__(self, folder: Path, tables: Sequence[_Table]) -> None:
        """folder: where the segments are. tables: of each segment."""
        self._folder = folder
        counts = [len(table["sizes"]) for table in tables]
        self.sizes: Integers = np.array([size for table in tables for size in table["sizes"]], np.int64)
        self.shapes: Integers = np.array([shape for table in tables for shape in table["shapes"]], np.int64)
        self.labels = [tuple(labels) for table in tables for labels in table["labels"]]
        self.test: Array = np.array([test for table in tables for test in table["test"]], bool)
        self.bad: list[tuple[str, str]] = [(name, reason) for table in tables for name, reason in table["bad"]]
        self._segments = np.repeat(np.arange(len(tables)), counts)
        ends = np.concatenate(([0], np.cumsum(self.sizes)))
        self._offsets = ends[:-1] - np.repeat(ends[np.cumsum(counts) - counts], counts)

    def read(self, case: int) -> bytes:
        """The JPEG of an image, in any thread."""
        with _jpegs(self._folder, int(self._segments[case])).open("rb") as file:
            file.seek(int(self._offsets[case]))
            return file.read(int(self.sizes[case]))


def fill(source: Source, work: Work, options: MakeOptions, progress: Progress) -> Spool:
    """All images of the source, those that earlier processes did included.

    Raises ConvnetError where the source is damaged or has more bad images than the options allow.
    """
    writer = _Writer(work, options, lambda done: progress("reading images", done, source.total))
    prepare = partial(_prepared, form=Form(options.size, options.square, options.quality))
    if not writer.complete:
        with closing(in_order(prepare, source.items(writer.done), options.threads)) as images:
            while not writer.complete:
                writer.write(islice(images, options.segment))
    return Spool(work.folder, writer.tables)


def _prepared(item: Item, form: Form) -> _Ready:
    """An image of the source as it will be stored."""
    try:
        content = item.read()
    except (*READ_ERRORS, ValueError) as error:  # ValueError: of a name with a zero byte
        return _Ready(item, b"", (0, 0), f"cannot be read: {error}")
    try:
        return _Ready(item, *stored(content, item.name, form), None)
    except ConvnetError as error:
        return _Ready(item, b"", (0, 0), str(error).removeprefix(f"{item.name}: "))


class _Writer:
    """Writes segments, after those that are there. done: images of the source; complete: whether these are all."""

    def __init__(self, work: Work, options: MakeOptions, progress: Callable[[int], None]) -> None:
        self._work, self._options, self._progress = work, options, progress
        self.tables = list(_finished(work.folder))
        self.done = sum(map(_images, self.tables))
        self._bad = [pair for table in self.tables for pair in table["bad"]]
        self._check_bad()

    @property
    def complete(self) -> bool:
        """Whether the last segment is there, the only one with fewer images than the others."""
        return bool(self.tables) and _images(self.tables[-1]) < self._options.segment

    def write(self, images: Iterator[_Ready]) -> None:
        """Write the images of a segment."""
        number = len(self.tables)
        table: _Table = {column: [] for column in _COLUMNS}
        with self._work.writing(_jpegs(self._work.folder, number)) as file:
            for image in images:
                file.write(image.jpeg)
                self._note(image, table)
        self._work.put(_table(self._work.folder, number), json.dumps(table).encode())
        self.tables.append(table)

    def _note(self, image: _Ready, table: _Table) -> None:
        """Put down what an image is, or why there is none."""
        if image.reason is None:
            row = (len(image.jpeg), image.shape, image.item.labels, image.item.test)
            for column, value in zip(_COLUMNS, row, strict=False):
                table[column].append(value)
        else:
            pair = image.item.name, image.reason
            table["bad"].append(pair)
            self._bad.append(pair)
            self._check_bad()
        self.done += 1
        self._progress(self.done)

    def _check_bad(self) -> None:
        """Raises ConvnetError, after writing the report, where too many images are bad."""
        if len(self._bad) > self._options.max_bad:
            path = self._work.target / BAD_IMAGES
            write_report(self._work, self._bad)
            most = f"{self._options.max_bad} image{'s' if self._options.max_bad != 1 else ''}"
            raise ConvnetError(f"more than {most} cannot be used (--max-bad); {path} names them")


def write_report(work: Work, bad: Sequence[tuple[str, str]]) -> None:
    """A line for each image that is left out: name, tab, reason."""
    lines = ["\t".join(" ".join(text.splitlines()).replace("\t", " ") for text in pair) for pair in bad]
    content = "".join(f"{line}\n" for line in lines)
    work.put(work.target / BAD_IMAGES, content.encode(errors="surrogateescape"))


def _finished(folder: Path) -> Iterator[_Table]:
    """The segments that are there."""
    for number in count():
        path = _table(folder, number)
        if not path.exists():
            return
        yield json.loads(path.read_bytes())


def _images(table: _Table) -> int:
    """How many images of the source a segment is made of."""
    return len(table["sizes"]) + len(table["bad"])


def _table(folder: Path, number: int) -> Path:
    return folder / f"segment_{number:06}.json"


def _jpegs(folder: Path, number: int) -> Path:
    return folder / f"segment_{number:06}.jpegs"
