"""cuda-convnet2's batches of photographs, as its make-data.py wrote ImageNet.

A folder with batches.meta and, for each batch, a folder data_batch_N of pickles data_batch_N.0, data_batch_N.1, .. (or
one plain file data_batch_N), each a dict of 'data', a list of JPEGs, and 'labels', a list of lists of integers, or of
integers. batches.meta is a pickled dict of 'label_names', 'data_mean' (3 * side * side, 1), red first, 'color_pca': the
deviations (3,) and the principal axes of the colours, in the columns of (3, 3), and 'label_offset', which is added to
labels; 'num_vis' may repeat 3 * side * side. It may lack 'color_pca', 'label_offset' and 'num_vis'.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import TypeGuard

import numpy as np

from convnet.data.augment import Array, Floats
from convnet.data.batch_folder import as_names, kind, split_batches
from convnet.data.image_source import ImageSource, Records
from convnet.data.pickled_jpegs import is_jpeg, unpickle_jpegs
from convnet.data.unpickle import Place, unpickle
from convnet.errors import ConvnetError

NAME = "convnet2"
META = "batches.meta"
CHANNELS = 3
_BATCH = re.compile(r"data_batch_(0|[1-9]\d{0,8})")

Meta = dict[str, object]


@dataclass
class Convnet2Source:
    """An `ImageSource`, where the fields are described. batches: the cases of each batch."""

    name: str
    description: str
    label_names: list[str]
    train_batches: list[int]
    test_batches: list[int]
    side: int
    mean: Array
    colour_axes: Floats | None
    several_labels: bool
    batches: dict[int, Records]
    alike: bool | None = None  # nothing but the images tells

    def cases(self, batchnum: int) -> int:
        """The number of cases in a batch. Raises KeyError for a batch that is not there."""
        return len(self.batches[batchnum])

    def records(self, batchnum: int) -> Records:
        """The cases of a batch, in order. Raises KeyError for a batch that is not there."""
        return self.batches[batchnum]


def is_convnet2(path: Path) -> bool:
    """Whether `path` is a folder of such batches: its batches are folders, or its meta file speaks of images."""
    if not (path / META).is_file():
        return False
    if any((path / name).is_dir() for name in _batch_names(path).values()):
        return True
    with suppress(ConvnetError):  # another provider will say what is wrong with it
        meta = _read_meta(path)
        return "color_pca" in meta or meta.get("dp_type") in ("image", b"image")
    return False


def open_convnet2(path: Path) -> ImageSource:
    """The batches in the folder `path`, under the numbers that they have there.

    Those from the last thousand begun on are for testing, see `split_batches`. Where all numbers are below 1000,
    nothing tells which batches are for testing, and all are to train on.

    Raises ConvnetError naming the file that is missing, damaged or not as expected.
    """
    meta = _read_meta(path)
    label_names = _label_names(path, meta)
    mean = _mean(path, meta)
    labels = _Labels(len(label_names), _label_offset(path, meta))
    batches = {number: _records(path / name, labels) for number, name in sorted(_batch_names(path).items())}
    if not batches:
        raise ConvnetError(f"{path}: expected folders or files data_batch_0, data_batch_1, ..; found none")
    train, test = split_batches(batches)
    several = any(len(case) != 1 for records in batches.values() for case in set(records.labels))
    description = f"photographs in {path.name} (cuda-convnet2's form)"
    return Convnet2Source(
        NAME, description, label_names, train, test, len(mean), mean, _colour_axes(path, meta), several, batches
    )


def _batch_names(folder: Path) -> dict[int, str]:
    """The folders or files of the batches, by number. Raises ConvnetError where the folder cannot be read."""
    try:
        found = (_BATCH.fullmatch(entry.name) for entry in folder.iterdir())
        return {int(match[1]): match[0] for match in found if match}
    except OSError as error:
        raise ConvnetError(f"{folder}: cannot be read: {error}") from error


def _read_meta(folder: Path) -> Meta:
    """The meta file."""
    path = folder / META
    try:
        return unpickle(path.read_bytes(), str(path))
    except OSError as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error


def _error(folder: Path, expected: str, found: object) -> ConvnetError:
    """An error about the meta file."""
    return ConvnetError(f"{folder / META}: expected {expected}; found {found}")


def _label_names(folder: Path, meta: Meta) -> list[str]:
    """The names of the classes."""
    names = as_names(meta.get("label_names"))
    if not names:
        raise _error(folder, "a list of names as 'label_names'", kind(meta.get("label_names")))
    return names


def _label_offset(folder: Path, meta: Meta) -> int:
    """What is added to all labels."""
    offset = meta.get("label_offset", 0)
    if not isinstance(offset, int):
        raise _error(folder, "an integer as 'label_offset'", kind(offset))
    return offset


def _mean(folder: Path, meta: Meta) -> Array:
    """The mean image, (side, side, 3) float32."""
    mean = meta.get("data_mean")
    size = mean.size if isinstance(mean, np.ndarray) else 0
    side = isqrt(size // CHANNELS)
    if not isinstance(mean, np.ndarray) or not size or size != CHANNELS * side**2 or not _is_finite(mean):
        raise _error(folder, "numbers of shape (3 * side * side, 1) as 'data_mean'", kind(mean))
    if meta.get("num_vis", size) != size:
        raise _error(folder, f"{size} as 'num_vis', the size of 'data_mean'", meta["num_vis"])
    return np.ascontiguousarray(mean.reshape(CHANNELS, side, side).transpose(1, 2, 0), np.float32)


def _colour_axes(folder: Path, meta: Meta) -> Floats | None:
    """The principal axes of the colours, (axis, colour), each as long as the deviation along it."""
    if "color_pca" not in meta:
        return None
    match meta["color_pca"]:
        case [np.ndarray() as deviations, np.ndarray() as columns] if (
            (deviations.size, columns.shape) == (CHANNELS, (CHANNELS, CHANNELS))
            and _is_finite(deviations)
            and _is_finite(columns)
        ):
            axes: Floats = columns.T.astype(np.float64) * deviations.reshape(CHANNELS, 1)
            return axes
        case other:
            raise _error(folder, "deviations (3,) and axes (3, 3) as 'color_pca'", kind(other))


def _records(path: Path, labels: _Labels) -> Records:
    """What one batch holds, in a folder of files or in one file."""
    files = _files(path)
    parts = [_part(file, labels) for file in files]
    places = [place for found, _ in parts for place in found]
    return Records(
        files,
        np.repeat(np.arange(len(files)), [len(found) for found, _ in parts]),
        np.array([place.offset for place in places], np.int64),
        np.array([place.size for place in places], np.int64),
        [case for _, found in parts for case in found],
    )


def _files(path: Path) -> list[Path]:
    """The files of a batch, in order. Raises ConvnetError where one is missing."""
    if not path.is_dir():
        return [path]
    try:
        entries = [entry.name.removeprefix(f"{path.name}.") for entry in path.iterdir()]
    except OSError as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error
    numbers = {int(name) for name in entries if name.isascii() and name.isdecimal()}
    missing = set(range(max(numbers, default=0) + 1)) - numbers
    if missing:
        raise ConvnetError(f"{path}: the file {path.name}.{min(missing)} is missing")
    return [path / f"{path.name}.{number}" for number in sorted(numbers)]


def _part(path: Path, labels: _Labels) -> tuple[list[Place], list[tuple[int, ...]]]:
    """Where the JPEGs in one file lie, and their labels."""
    batch = unpickle_jpegs(path)
    data, found = batch.get("data"), batch.get("labels")
    if not isinstance(data, list):
        raise ConvnetError(f"{path}: expected a list of JPEGs as 'data'; found {kind(data)}")
    if not _are_places(data):
        case, other = next((case, item) for case, item in enumerate(data) if not isinstance(item, Place))
        what = "one written as text, as Python 3 does before protocol 3" if is_jpeg(other) else kind(other)
        raise ConvnetError(f"{path}: data[{case}]: expected a JPEG; found {what}")
    given = found.tolist() if isinstance(found, np.ndarray) and found.ndim == 1 else found
    if not isinstance(given, list) or len(given) != len(data):
        raise ConvnetError(f"{path}: expected {len(data)} lists of integers as 'labels'; found {kind(found)}")
    return data, [labels.checked(path, case, value) for case, value in enumerate(given)]


def _are_places(data: list[object]) -> TypeGuard[list[Place]]:
    """Whether all items are the places of JPEGs."""
    return all(isinstance(item, Place) for item in data)


class _Labels:
    """Checks labels of so many classes, to which `offset` is added. Equal ones become one tuple, to save memory."""

    def __init__(self, classes: int, offset: int) -> None:
        self._classes, self._offset = classes, offset
        self._known: dict[tuple[int, ...], tuple[int, ...]] = {}

    def checked(self, path: Path, case: int, value: object) -> tuple[int, ...]:
        """The labels of a case, which has one or a list of them."""
        given = value if isinstance(value, list) else [value]
        if not _are_integers(given):
            raise ConvnetError(f"{path}: labels[{case}]: expected integers; found {value!r:.50}")
        key = tuple(given)
        if key not in self._known:
            self._known[key] = self._in_range(path, case, given)
        return self._known[key]

    def _in_range(self, path: Path, case: int, given: Sequence[int]) -> tuple[int, ...]:
        """The labels with the offset added."""
        first, end = -self._offset, self._classes - self._offset
        wrong = [label for label in given if not first <= label < end]
        if wrong:
            raise ConvnetError(f"{path}: labels[{case}]: expected labels from {first} to {end - 1}; found {wrong[0]}")
        return tuple(label + self._offset for label in given)


def _are_integers(values: list[object]) -> TypeGuard[list[int]]:
    """Whether all are integers, and not truth values."""
    return all(type(value) is int for value in values)


def _is_finite(array: Array) -> bool:
    """Whether these are finite numbers."""
    return array.dtype.kind in "iuf" and bool(np.all(np.isfinite(array)))
