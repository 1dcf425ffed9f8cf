"""Images as they will be stored, in the order of their source: numbered segments that are done once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from convnet.data.archive import READ_ERRORS
from convnet.data.augment import Array, Integers
from convnet.data.making.compressed_folders import CompressedFolders
from convnet.data.making.encode import Form, Size, stored
from convnet.data.making.options import MakeOptions, Progress
from convnet.data.making.pool import in_order
from convnet.data.making.source import Item, Place, Source
from convnet.data.making.work import Work
from convnet.data.shards import BAD_IMAGES
from convnet.errors import ConvnetError

# Of a segment, as JSON holds it: of each image the bytes, the shape (y, x), and the place (labels, test) or, where that
# is not known yet, the name; of the bad ones name and reason. The last one has the folders of `CompressedFolders`.
_Table = dict[str, list[Any]]
_COLUMNS = ("sizes", "shapes", "places", "bad", "folders")
SEGMENTS_FORMAT = 2


@dataclass(frozen=True)
class _Ready:
    """An image of the source as it will be stored, or the reason why it will not."""

    item: Item
    jpeg: bytes
    shape: Size
    reason: str | None


class Spool:
    """The images of all segments that belong to a class, n in all, and the names and reasons of the bad ones.

    sizes: (n,) bytes. shapes: (n, 2) y, x. labels: of each image its labels, indices of `label_names`. test: (n,)
    whether it is in the test set.
    """

    def __init__(self, folder: Path, source: Source, tables: Sequence[_Table]) -> None:
        """folder: where the segments are. tables: of each segment.

        Raises ConvnetError where the names in `CompressedFolders` are not as expected.
        """
        self._folder = folder
        self.label_names, places, self.bad = _placed(source, tables)
        kept = np.array([place is not None for place in places], bool)
        self.labels = [tuple(place[0]) for place in places if place is not None]
        self.test: Array = np.array([place[1] for place in places if place is not None], bool)
        counts = [len(table["sizes"]) for table in tables]
        sizes: Integers = np.array([size for table in tables for size in table["sizes"]], np.int64)
        ends = np.concatenate(([0], np.cumsum(sizes)))
        self.sizes = sizes[kept]
        self.shapes: Integers = np.array([shape for table in tables for shape in table["shapes"]], np.int64)[kept]
        self._segments = np.repeat(np.arange(len(tables)), counts)[kept]
        self._offsets = (ends[:-1] - np.repeat(ends[np.cumsum(counts) - counts], counts))[kept]

    def read(self, case: int) -> bytes:
        """The JPEG of an image, in any thread."""
        with _jpegs(self._folder, int(self._segments[case])).open("rb") as file:
            file.seek(int(self._offsets[case]))
            return file.read(int(self.sizes[case]))


def _placed(source: Source, tables: Sequence[_Table]) -> tuple[list[str], list[Place | None], list[tuple[str, str]]]:
    """The label names, where each image belongs, and the bad images that belong somewhere."""
    places = [place for table in tables for place in table["places"]]
    bad = [(name, reason) for table in tables for name, reason in table["bad"]]
    if not isinstance(source, CompressedFolders):
        return source.label_names, places, bad
    classes = source.classify([*places, *(name for name, _ in bad)], tables[-1]["folders"])
    bad = [(name, reason) for name, reason in bad if name in classes.places]
    return classes.label_names, [classes.places.get(name) for name in places], bad


def fill(source: Source, work: Work, options: MakeOptions, progress: Progress) -> Spool:
    """All images of the source, those that earlier processes did included.

    Raises ConvnetError where the source is damaged, has more bad images than the options allow, or its folders are not
    as expected.
    """
    writer = _Writer(source, work, options, progress)
    prepare = partial(_prepared, form=Form(options.size, options.square, options.quality))
    if not writer.complete:
        with closing(in_order(prepare, source.items(writer.done), options.threads)) as images:
            while not writer.complete:
                writer.write(islice(images, options.segment))
    return Spool(work.folder, source, writer.tables)


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

    def __init__(self, source: Source, work: Work, options: MakeOptions, progress: Progress) -> None:
        self._source, self._work, self._options, self._progress = source, work, options, progress
        self.tables = list(_finished(work.folder))
        self.done = sum(map(_images, self.tables))
        self._bad = [pair for table in self.tables for pair in table["bad"]]
        self._check_bad()

    @property
    def complete(self) -> bool:
        """Whether the last segment is there, the only one with fewer images than the others."""
        return bool(self.tables) and self._is_last(self.tables[-1])

    def _is_last(self, table: _Table) -> bool:
        return _images(table) < self._options.segment

    def write(self, images: Iterator[_Ready]) -> None:
        """Write the images of a segment."""
        number = len(self.tables)
        table: _Table = {column: [] for column in _COLUMNS}
        with self._work.writing(_jpegs(self._work.folder, number)) as file:
            for image in images:
                file.write(image.jpeg)
                self._note(image, table)
        if isinstance(self._source, CompressedFolders) and self._is_last(table):
            table["folders"] = self._source.folders
        self._work.put(_table(self._work.folder, number), json.dumps(table).encode())
        self.tables.append(table)

    def _note(self, image: _Ready, table: _Table) -> None:
        """Put down what an image is, or why there is none."""
        if image.reason is None:
            row = (len(image.jpeg), image.shape, image.item.place or image.item.name)
            for column, value in zip(_COLUMNS, row, strict=False):
                table[column].append(value)
        else:
            pair = image.item.name, image.reason
            table["bad"].append(pair)
            self._bad.append(pair)
            self._check_bad()
        self.done += 1
        self._progress("reading images", self.done, self._source.total)

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
