"""CIFAR-10 and CIFAR-100, as published for Python and as cuda-convnet had them.

Published: data_batch_1..5 and test_batch (CIFAR-10), train and test (CIFAR-100); one image per row. cuda-convnet's
cifar-10-py-colmajor: data_batch_1..6, the last one for testing; one image per column, and the mean in batches.meta. In
both an image is 3 channels, red first, of 32 rows of 32 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convnet.data.archive import is_archive, names, read_tree
from convnet.data.augment import Array, Integers
from convnet.data.memory import ImageSet, MemoryProvider, batch_sizes
from convnet.data.provider import DataProvider, ProviderOptions
from convnet.data.unpickle import unpickle
from convnet.errors import ConvnetError

NAME, CROPPED_NAME = "cifar", "cifar-cropped"
CROP_BORDER = 4  # of cifar-cropped, unless the options say otherwise
SIDE, CHANNELS = 32, 3
PIXELS = CHANNELS * SIDE * SIDE


@dataclass(frozen=True)
class _Form:
    """A form of the data: its files, and the names of what is in them."""

    name: str
    meta: str
    train: tuple[str, ...]
    test: str
    labels: str = "labels"
    label_names: str = "label_names"
    by_columns: bool = False


_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_PUBLISHED = _Form("CIFAR-10", "batches.meta", _TRAIN, "test_batch")
_COLMAJOR = _Form("CIFAR-10 (cuda-convnet's)", "batches.meta", _TRAIN, "data_batch_6", by_columns=True)
_HUNDRED = _Form("CIFAR-100", "meta", ("train",), "test", "fine_labels", "fine_label_names")
_HUNDRED_BATCHES = 5  # that the one training file of CIFAR-100 is cut into
_METAS = {form.meta for form in (_PUBLISHED, _HUNDRED)}
_FILES = {name for form in (_PUBLISHED, _COLMAJOR, _HUNDRED) for name in (form.meta, *form.train, form.test)}
_FIRST_NAMES = 16  # how far to look into an archive; the published ones have less members


class _Cases(NamedTuple):
    """pixels: (cases, y, x, channels) uint8, labels: (cases,)."""

    pixels: Array
    labels: Integers


def recognizes(path: Path) -> bool:
    """Whether `path` is a folder with CIFAR batches, perhaps in a folder of their own, or an archive of one."""
    if path.is_dir():
        return _folder(path) is not None
    return is_archive(path) and any(name.name in _METAS for name in islice(names(path), _FIRST_NAMES))


def open_cifar(options: ProviderOptions) -> DataProvider:
    """The batches in `options.path`, numbered as in the files, the test batch being 6.

    Raises ConvnetError naming the file that is missing, damaged or not as expected.
    """
    return _open(NAME, options)


def open_cifar_cropped(options: ProviderOptions) -> DataProvider:
    """The same with a crop border of 4 if the options give no crop of their own."""
    cropped = bool(options.crop or options.crop_border)
    return _open(CROPPED_NAME, options if cropped else replace(options, crop_border=CROP_BORDER))


def _open(name: str, options: ProviderOptions) -> DataProvider:
    """Read all files."""
    folder = _Folder(options.data_path)
    meta, form = _meta(folder)
    label_names = _label_names(folder, meta, form)
    parts = [_cases(folder, file, form, len(label_names)) for file in (*form.train, form.test)]
    *train, test = [len(part.labels) for part in parts]
    size = options.batch_size or (-(-sum(train) // _HUNDRED_BATCHES) if form is _HUNDRED else None)
    images = ImageSet(
        description=f"{form.name} in {folder.path.name}",
        pixels=np.concatenate([part.pixels for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        label_names=label_names,
        train_sizes=batch_sizes(sum(train), PIXELS, size) if size else train,
        test_sizes=batch_sizes(test, PIXELS, options.batch_size) if options.batch_size else [test],
        mean=_mean(folder, meta) if form.by_columns else None,
    )
    return MemoryProvider(name, images, options)


class _Folder:
    """The batch files in a folder or an archive."""

    def __init__(self, path: Path) -> None:
        """Find them. Raises ConvnetError where `path` cannot be read or has no meta file."""
        self.path = path
        where = _folder(path) if path.is_dir() else path
        files = read_tree(where, lambda name: name.name in _FILES).files if where else []
        self.files = {file.name.name: file for file in files}
        if not self.files.keys() & _METAS:
            raise ConvnetError(f"{path}: expected CIFAR batches, but there is no {' or '.join(sorted(_METAS))}")

    def unpickled(self, name: str) -> dict[str, object]:
        """What is in one file. Raises ConvnetError where it is missing or damaged."""
        if name not in self.files:
            raise ConvnetError(f"{self.path}: the file {name} is missing")
        return unpickle(self.files[name].read(), f"{self.path}: {name}")

    def error(self, name: str, expected: str, found: object) -> ConvnetError:
        """An error about what is in a file."""
        return ConvnetError(f"{self.path}: {name}: expected {expected}; found {found}")


def _folder(path: Path) -> Path | None:
    """The folder with the meta file: `path` or one right inside it."""
    inner = (folder for folder in sorted(path.iterdir()) if folder.is_dir())
    return next((folder for folder in (path, *inner) if any((folder / meta).is_file() for meta in _METAS)), None)


def _meta(folder: _Folder) -> tuple[dict[str, object], _Form]:
    """The meta file, and the form of the data it tells of."""
    if _PUBLISHED.meta not in folder.files:
        return folder.unpickled(_HUNDRED.meta), _HUNDRED
    meta = folder.unpickled(_PUBLISHED.meta)
    return meta, _COLMAJOR if "data_mean" in meta else _PUBLISHED


def _label_names(folder: _Folder, meta: dict[str, object], form: _Form) -> list[str]:
    """The names of the classes."""
    found = meta.get(form.label_names)
    if not isinstance(found, list) or not found or not all(isinstance(name, str | bytes) for name in found):
        raise folder.error(form.meta, f"a list of names as '{form.label_names}'", _kind(found))
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in found]


def _cases(folder: _Folder, file: str, form: _Form, classes: int) -> _Cases:
    """The cases in one batch file."""
    batch = folder.unpickled(file)
    data, labels = batch.get("data"), batch.get(form.labels)
    axis = 0 if form.by_columns else 1
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[axis] != PIXELS:
        shape = f"({PIXELS}, cases)" if form.by_columns else f"(cases, {PIXELS})"
        raise folder.error(file, f"a uint8 array {shape} as 'data'", _kind(data))
    rows = data.T if form.by_columns else data
    images = rows.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
    numbers = _integers(labels)
    if numbers is None or numbers.shape != (len(images),):
        raise folder.error(file, f"{len(images)} integers as '{form.labels}'", _kind(labels))
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < classes):
        raise folder.error(file, f"labels from 0 to {classes - 1}", f"{numbers.min()} to {numbers.max()}")
    return _Cases(images, numbers.astype(np.int64))


def _integers(values: object) -> Array | None:
    """A list or an array of integers as an array; None if it is something else."""
    if isinstance(values, list) and all(isinstance(value, int) for value in values):
        values = np.array(values)
    return values if isinstance(values, np.ndarray) and values.dtype.kind in "iu" else None


def _mean(folder: _Folder, meta: dict[str, object]) -> Array:
    """The mean image (y, x, channel) of cuda-convnet's form."""
    mean = meta["data_mean"]
    if not isinstance(mean, np.ndarray) or mean.size != PIXELS or not np.all(np.isfinite(mean)):
        raise folder.error(_COLMAJOR.meta, f"an array ({PIXELS}, 1) as 'data_mean'", _kind(mean))
    return mean.reshape(CHANNELS, SIDE, SIDE).transpose(1, 2, 0)


def _kind(value: object) -> str:
    """What a value is, for messages."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return f"{len(value)} items" if isinstance(value, list) else "nothing" if value is None else type(value).__name__
