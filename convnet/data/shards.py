"""Data batches of photographs as `convnet data make` writes them: tar files that other programs can read too.

A folder with data_batch_1.tar, data_batch_2.tar, .. (first the batches to train on, then those to test on; members
00000017.jpg, 00000017.cls with the label, and 00000017.json with all labels where they are several), batches.json (what
the data is), index.npz (where in the tar files the JPEGs lie, and their labels) and statistics.npz (the mean image and
the covariance of the colours).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

import numpy as np

from convnet.data.augment import Array, Floats, Integers, principal_axes
from convnet.data.image_source import Records
from convnet.data.npz import READ_ERRORS
from convnet.errors import ConvnetError

NAME = "shards"
FORMAT = 1
META, INDEX, STATISTICS, BAD_IMAGES = "batches.json", "index.npz", "statistics.npz", "bad-images.txt"
WORK, PLAN = ".make", "plan.json"  # the folder of work that is not finished, and what is in it from the beginning on


def batch_name(batchnum: int | str) -> str:
    """The name of the file of a data batch; the pattern of all names for "*"."""
    return f"data_batch_{batchnum}.tar"


def is_shards(path: Path) -> bool:
    """Whether `path` is a folder of finished data batches."""
    return (path / META).is_file()


def check_finished(path: Path) -> None:
    """Raises ConvnetError for a folder of data batches that are not finished."""
    if is_shards(path):
        return
    if (path / WORK / PLAN).is_file():
        raise ConvnetError(f"{path}: convnet data make has not finished here; the same command goes on")
    batch = min(path.glob(batch_name("*")), default=None)
    if batch is not None:
        raise ConvnetError(f"{path}: expected {META} beside {batch.name}, found no such file")


class Shards:
    """An `ImageSource`, whose fields are described there."""

    def __init__(self, folder: Path) -> None:
        """Read all but the images. Raises ConvnetError naming the file that is missing, damaged or not as expected."""
        self.name, self._folder = NAME, folder
        meta = _Meta(folder / META)
        self.description = meta.text("description")
        self.label_names = meta.texts("label_names")
        self.side = meta.number("size")
        sizes = [*meta.numbers("train"), *meta.numbers("test")]
        self.train_batches = [number + 1 for number in range(len(meta.numbers("train")))]
        self.test_batches = [number + 1 for number in range(len(self.train_batches), len(sizes))]
        self._ends = np.cumsum([0, *sizes]).tolist()
        self._index = _Index(folder / INDEX, self._ends[-1], len(self.label_names))
        self.several_labels = bool(np.any(np.diff(self._index.label_ends, prepend=0) != 1))
        self.alike = bool((self._index.shapes == self.side).all())
        for number in (*self.train_batches, *self.test_batches):
            self._check_file(number)
        statistics = _arrays(folder / STATISTICS, {"mean": (self.side, self.side, 3), "covariance": (3, 3)})
        self.mean: Array = statistics["mean"].astype(np.float32)
        self.colour_axes: Floats | None = principal_axes(statistics["covariance"].astype(np.float64))

    def cases(self, batchnum: int) -> int:
        """The number of cases in a batch. Raises KeyError for a batch that is not there."""
        return len(self._range(batchnum))

    def records(self, batchnum: int) -> Records:
        """The cases of a batch. Raises KeyError for a batch that is not there, ConvnetError for a file cut off."""
        self._check_file(batchnum)
        cases = self._range(batchnum)
        offsets, sizes = self._places(batchnum)
        labels = list(map(self._index.labels_of, cases))
        return Records([self._folder / batch_name(batchnum)], np.zeros(len(cases), np.int64), offsets, sizes, labels)

    def _check_file(self, batchnum: int) -> None:
        """Raises ConvnetError unless the file of a batch has all bytes of its cases; nothing is read."""
        path, (offsets, sizes) = self._folder / batch_name(batchnum), self._places(batchnum)
        # Each by itself as well, because the sum of nonsense may be negative.
        needed = max(int(places.max(initial=0)) for places in (offsets, sizes, offsets + sizes))
        found = path.stat().st_size if path.is_file() else None
        if found is None or found < needed:
            found_text = "no such file" if found is None else found
            raise ConvnetError(f"{path}: expected at least {needed} bytes, as {INDEX} says; found {found_text}")

    def _places(self, batchnum: int) -> tuple[Integers, Integers]:
        """The offsets and sizes of the cases of a batch."""
        cases = self._range(batchnum)
        return self._index.offsets[cases.start : cases.stop], self._index.sizes[cases.start : cases.stop]

    def _range(self, batchnum: int) -> range:
        """The cases of a batch, counted through all batches."""
        if not 0 < batchnum < len(self._ends):
            raise KeyError(batchnum)
        return range(self._ends[batchnum - 1], self._ends[batchnum])


def open_shards(path: Path) -> Shards:
    """The data batches in a folder. Raises ConvnetError naming the file that is missing, damaged or unexpected."""
    return Shards(path)


class _Meta:
    """What batches.json says. Raises ConvnetError where it says something else than asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            values = json.loads(path.read_bytes())
        except OSError as error:
            raise ConvnetError(f"{path}: cannot be read: {error}") from error
        except (ValueError, RecursionError) as error:
            raise ConvnetError(f"{path}: expected JSON: {error}") from error
        self._values: dict[str, Any] = values if isinstance(values, dict) else {}
        if self.number("format") != FORMAT:
            raise ConvnetError(f"{path}: expected data batches of format {FORMAT}, found {self._values['format']}")

    def text(self, key: str) -> str:
        """A text."""
        found = self._values.get(key)
        if not isinstance(found, str):
            self._fail(key, "a text")
        return found

    def texts(self, key: str) -> list[str]:
        """A list of texts, not empty."""
        found = self._values.get(key)
        if not isinstance(found, list) or not found or not all(isinstance(item, str) for item in found):
            self._fail(key, "a list of texts")
        return found

    def number(self, key: str) -> int:
        """A whole number that is not negative."""
        found = self._values.get(key)
        if not _is_count(found):
            self._fail(key, "a whole number")
        return found

    def numbers(self, key: str) -> list[int]:
        """A list of whole numbers that are not negative."""
        found = self._values.get(key)
        if not isinstance(found, list) or not all(map(_is_count, found)):
            self._fail(key, "a list of whole numbers")
        return found

    def _fail(self, key: str, expected: str) -> NoReturn:
        raise ConvnetError(f"{self._path}: expected {expected} as {key}, found {self._values.get(key)!r:.60}")


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


class _Index:
    """What index.npz says of the n cases of all batches.

    offsets, sizes: (n,) of the JPEGs within their tar files. shapes: (n, 2). label_ends: (n,), labels: (m,), those of
    case i being labels[label_ends[i - 1] : label_ends[i]].
    """

    def __init__(self, path: Path, cases: int, classes: int) -> None:
        """Read the file. Raises ConvnetError where it does not fit so many cases and classes."""
        shapes = {"offsets": (cases,), "sizes": (cases,), "shapes": (cases, 2), "label_ends": (cases,), "labels": None}
        arrays = {name: array.astype(np.int64) for name, array in _arrays(path, shapes).items()}
        self.offsets, self.sizes, self.shapes = arrays["offsets"], arrays["sizes"], arrays["shapes"]
        self.labels, self.label_ends = arrays["labels"], arrays["label_ends"]
        ends = np.diff(self.label_ends, prepend=0)
        whole = int(self.label_ends[-1]) == len(self.labels) if cases else not len(self.labels)
        if not whole or ends.min(initial=0) < 0 or min(self.offsets.min(initial=0), self.sizes.min(initial=0)) < 0:
            raise ConvnetError(f"{path}: expected ascending label_ends and no negative numbers, found others")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < classes:
            found = f"{self.labels.min()} .. {self.labels.max()}"
            raise ConvnetError(f"{path}: expected labels of 0 .. {classes - 1}, as {META} says; found {found}")

    def labels_of(self, case: int) -> tuple[int, ...]:
        """The labels of a case."""
        first = int(self.label_ends[case - 1]) if case else 0
        return tuple(self.labels[first : int(self.label_ends[case])].tolist())


def _arrays(path: Path, shapes: Mapping[str, tuple[int, ...] | None]) -> dict[str, Array]:
    """Arrays of numbers of these shapes, (any length,) for None. Raises ConvnetError where the file has others."""
    try:
        # Not by its path: NumPy leaves damaged files open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in shapes}
    except (OSError, *READ_ERRORS) as error:
        raise ConvnetError(f"{path}: expected arrays {', '.join(shapes)}, but they cannot be read: {error}") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of what is no .npy
            raise ConvnetError(f"{path}: expected arrays, but {name} is none")
        shape = shapes[name] or (array.size,)
        if array.shape != shape or array.dtype.kind not in "iuf":
            found = f"{array.dtype} of shape {array.shape}"
            raise ConvnetError(f"{path}: expected {name} to be numbers of shape {shape}, found {found}")
        if not np.isfinite(array).all():
            raise ConvnetError(f"{path}: expected finite numbers as {name}, found others")
    return arrays
