"""Folders and archives of pickled data batches: finds the files, and joins what is in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from convnet.data.archive import read_tree
from convnet.data.augment import Array, Integers
from convnet.data.unpickle import unpickle
from convnet.errors import ConvnetError

Numbers = np.dtype[Any]

_BATCH = re.compile(r"data_batch_(0|[1-9]\d{0,8})(?:\.(\d{1,9}))?")
_THOUSAND = 1000


class Cases(NamedTuple):
    """rows: (cases, numbers), labels: (cases,)."""

    rows: Array
    labels: Integers


class Layout(NamedTuple):
    """What is in a file.

    size, dtype: the numbers of a case, and their type. by_columns: a case is a column, not a row. labels: their key.
    """

    size: int
    dtype: Numbers
    by_columns: bool
    labels: str = "labels"


class BatchFolder:
    """The batch files in a folder, perhaps one around it, or in an archive.

    path: the folder or archive. files: by name.
    """

    def __init__(self, path: Path, metas: Collection[str], others: Collection[str]) -> None:
        """Find data batches, meta files and other files.

        Raises ConvnetError where `path` cannot be read or has none of the meta files.
        """
        self.path = path

        def wanted(name: PurePosixPath) -> bool:
            return name.name in {*metas, *others} or bool(_BATCH.fullmatch(name.name))

        where = folder_with(path, metas) if path.is_dir() else path
        self.files = {file.name.name: file for file in read_tree(where, wanted).files} if where else {}
        if not self.files.keys() & set(metas):
            raise ConvnetError(f"{path}: expected CIFAR batches, but there is no {' or '.join(sorted(metas))}")

    @property
    def numbers(self) -> list[int]:
        """The numbers of the data batches."""
        matches = map(_BATCH.fullmatch, self.files)
        return sorted({int(match[1]) for match in matches if match})

    def unpickled(self, name: str) -> dict[str, object]:
        """What is in one file. Raises ConvnetError where it is missing or damaged."""
        if name not in self.files:
            raise ConvnetError(f"{self.path}: the file {name} is missing")
        return unpickle(self.files[name].read(), f"{self.path}: {name}")

    def error(self, name: str, expected: str, found: object) -> ConvnetError:
        """An error about what is in a file."""
        return ConvnetError(f"{self.path}: {name}: expected {expected}; found {found}")

    def parts(self, name: str) -> list[str]:
        """The files of a batch: the one of this name, or its sub-batches <name>.1, <name>.2, ..

        Raises ConvnetError where a file is missing.
        """
        if name in self.files:
            return [name]
        matches = map(_BATCH.fullmatch, self.files)
        last = max((int(match[2]) for match in matches if match and match[2] and f"data_batch_{match[1]}" == name),
                   default=0)  # fmt: skip
        parts = [f"{name}.{number}" for number in range(1, last + 1)] or [name]
        missing = next((part for part in parts if part not in self.files), None)
        if missing:
            raise ConvnetError(f"{self.path}: the file {missing} is missing")
        return parts

    def cases(self, name: str, layout: Layout) -> Cases:
        """The cases of a batch. Sub-batches may leave all labels to the first of them.

        Raises ConvnetError naming the file that is missing or not as expected.
        """
        batches = {part: self.unpickled(part) for part in self.parts(name)}
        rows = np.concatenate([self._rows(part, batch, layout) for part, batch in batches.items()])
        given = [batch[layout.labels] for batch in batches.values() if layout.labels in batch]
        labels = [_integers(part) for part in given]
        count = sum(len(part) for part in labels if part is not None)
        if not labels or any(part is None for part in labels) or count != len(rows):
            found = ", ".join(map(kind, given or [None]))
            raise self.error(name, f"{len(rows)} integers as '{layout.labels}'", found)
        if not len(rows):
            raise self.error(name, "at least one case", 0)
        return Cases(rows, np.concatenate([part for part in labels if part is not None]))

    def check_labels(self, name: str, labels: Integers, classes: int) -> None:
        """Raises ConvnetError unless all labels of a batch are those of `classes` classes."""
        if labels.size and not (labels.min() >= 0 and labels.max() < classes):
            raise self.error(name, f"labels from 0 to {classes - 1}", f"{labels.min()} to {labels.max()}")

    def label_names(self, meta_file: str, meta: dict[str, object], key: str) -> list[str]:
        """The names of the classes. Raises ConvnetError where the meta file does not tell them."""
        names = as_names(meta.get(key))
        if not names:
            raise self.error(meta_file, f"a list of names as '{key}'", kind(meta.get(key)))
        return names

    def _rows(self, file: str, batch: dict[str, object], layout: Layout) -> Array:
        """The numbers in one file, (cases, numbers)."""
        data, axis = batch.get("data"), 0 if layout.by_columns else 1
        fits = isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[axis] == layout.size
        if not isinstance(data, np.ndarray) or not fits or data.dtype != layout.dtype:
            shape = f"({layout.size}, cases)" if layout.by_columns else f"(cases, {layout.size})"
            raise self.error(file, f"a {layout.dtype} array {shape} as 'data'", kind(data))
        if not np.all(np.isfinite(data)):
            raise self.error(file, "finite numbers as 'data'", "nan or infinity")
        return data.T if layout.by_columns else data


def folder_with(path: Path, metas: Collection[str]) -> Path | None:
    """The folder with one of the meta files: `path` or one right inside it."""
    inner = (folder for folder in sorted(path.iterdir()) if folder.is_dir())
    return next((folder for folder in (path, *inner) if any((folder / meta).is_file() for meta in metas)), None)


def split_batches(numbers: Iterable[int]) -> tuple[list[int], list[int]]:
    """The numbers of the batches below the last thousand begun, and of those from it on; below 1000, those are none.

    cuda-convnet2's make-data.py numbers batches to train on from 0, and those to test on from the next multiple of
    1000.
    """
    ordered = sorted(numbers)
    first_test = ordered[-1] // _THOUSAND * _THOUSAND or ordered[-1] + 1
    return [number for number in ordered if number < first_test], [n for n in ordered if n >= first_test]


def as_names(value: object) -> list[str] | None:
    """A list of texts, of which Python 2 wrote bytes; None if it is something else."""
    if not isinstance(value, list) or not all(isinstance(name, str | bytes) for name in value):
        return None
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in value]


def kind(value: object) -> str:
    """What a value is, for messages."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, list | bytes):
        return f"{len(value)} {'items' if isinstance(value, list) else 'bytes'}"
    return "nothing" if value is None else type(value).__name__


def _integers(values: object) -> Integers | None:
    """Integers in a list, a vector, or a matrix of one row or column, of which floats may be whole; None otherwise."""
    if isinstance(values, list) and all(isinstance(value, int) for value in values):
        values = np.array(values, np.int64) if all(abs(value) < 2**31 for value in values) else None
    if not isinstance(values, np.ndarray) or values.size != max(values.shape, default=0):
        return None
    if values.dtype.kind == "f" and values.ndim == 2 and _are_whole(values):  # as cuda-convnet's features have them
        values = values.astype(np.int64)
    return values.reshape(-1).astype(np.int64) if values.dtype.kind in "iu" else None


def _are_whole(values: Array) -> bool:
    """Whether these are integers, small enough for labels."""
    return bool(np.all(np.abs(values) < 2**31) and np.all(values == np.round(values)))
