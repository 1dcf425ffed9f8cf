"""NumPy's .npz files with images and labels."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convnet.data.augment import Array, Integers
from convnet.data.memory import ImageSet, MemoryProvider, batch_sizes
from convnet.data.provider import DataProvider, ProviderOptions
from convnet.data.split import test_cases
from convnet.errors import ConvnetError

NAME = "npz"
_IMAGES = "(cases, y, x), (cases, y, x, channels) or (cases, features)"
# What damaged files, and arrays of objects, make NumPy raise.
READ_ERRORS = (
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
)
_MOST_CLASSES = 1_000_000  # beyond that, labels are something else


class _Set(NamedTuple):
    """pixels: (cases, y, x, channels) or (cases, features), uint8 or float32; labels: (cases,)."""

    pixels: Array
    labels: Integers


def recognizes(path: Path) -> bool:
    """Whether `path` is a file with the right name."""
    return path.is_file() and path.suffix.lower() == ".npz"


def open_npz(options: ProviderOptions) -> DataProvider:
    """The arrays train_images, train_labels, test_images and test_labels in `options.path`.

    Without test_images, or with images and labels for the whole, a share becomes the test set. With test_images and
    test_labels alone there are no batches to train on. Images are (cases, y,
    x), (cases, y, x, channels), or (cases, features) for data that is not images; labels are (cases,) integers from 0.
    uint8 stays as it is, all other numbers become float32.

    Raises ConvnetError naming the array that is missing or not as expected.
    """
    path = options.data_path
    train, test = _sets(path, _arrays(path), options.test_share)
    pixels, labels = (np.concatenate(pair) for pair in zip(train, test, strict=True))
    images = ImageSet(
        description=f"arrays in {path.name}",
        pixels=pixels,
        labels=labels,
        label_names=[str(label) for label in range(int(labels.max()) + 1)],
        train_sizes=batch_sizes(len(train.labels), pixels[0].size, options.batch_size),
        test_sizes=batch_sizes(len(test.labels), pixels[0].size, options.batch_size),
    )
    return MemoryProvider(NAME, images, options)


def _arrays(path: Path) -> dict[str, Array]:
    """All arrays in the file."""
    if not zipfile.is_zipfile(path):
        raise ConvnetError(f"{path}: expected a .npz file, which numpy.savez writes")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except READ_ERRORS as error:
        raise ConvnetError(f"{path}: expected a .npz file of plain arrays: {error}") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of what is no .npy
            raise ConvnetError(f"{path}: expected a .npz file of plain arrays: {name} is no array")
    return arrays


def _sets(path: Path, arrays: dict[str, Array], share: float | None) -> tuple[_Set, _Set]:
    """The cases to train on and those to test on."""
    own_test = "test_images" in arrays or "test_labels" in arrays
    prefix = "train_" if "train_images" in arrays or "train_labels" in arrays else ""
    if own_test and not prefix and not ("images" in arrays or "labels" in arrays):
        test = _test_set(path, arrays, share)
        return _Set(test.pixels[:0], test.labels[:0]), test
    train = _read_set(path, arrays, prefix)
    if not own_test:
        mask = test_cases(train.labels, share)
        return _Set(train.pixels[~mask], train.labels[~mask]), _Set(train.pixels[mask], train.labels[mask])
    test = _test_set(path, arrays, share)
    if test.pixels.shape[1:] != train.pixels.shape[1:]:
        shapes = " and ".join(f"{part}images of {arrays[part + 'images'].shape}" for part in (prefix, "test_"))
        raise ConvnetError(f"{path}: expected training and test images of one size, found {shapes}")
    return train, test


def _test_set(path: Path, arrays: dict[str, Array], share: float | None) -> _Set:
    """The arrays test_images and test_labels."""
    if share is not None:
        raise ConvnetError(f"{path}: a test share was given, but the data has a test set of its own")
    return _read_set(path, arrays, "test_")


def _read_set(path: Path, arrays: dict[str, Array], prefix: str) -> _Set:
    """The arrays <prefix>images and <prefix>labels."""
    images, labels = (_array(path, arrays, prefix + name) for name in ("images", "labels"))
    if images.ndim not in (2, 3, 4) or 0 in images.shape or images.dtype.kind not in "biuf":
        raise _error(path, f"{prefix}images", f"numbers of shape {_IMAGES}, none of them 0", _kind(images))
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3, 4):
        found = f"{_kind(images)}, which looks like channels first"
        raise _error(path, f"{prefix}images", "the order (cases, y, x, channels)", found)
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise _error(path, f"{prefix}labels", f"integers of shape ({len(images)},)", _kind(labels))
    if labels.min() < 0 or labels.max() >= _MOST_CLASSES:
        raise _error(path, f"{prefix}labels", f"0 to {_MOST_CLASSES - 1}", f"{labels.min()} to {labels.max()}")
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
        if not np.all(np.isfinite(images)):
            raise ConvnetError(f"{path}: {prefix}images: expected finite numbers, found nan or infinity")
    return _Set(images[..., None] if images.ndim == 3 else images, labels.astype(np.int64))


def _array(path: Path, arrays: dict[str, Array], name: str) -> Array:
    """One of the arrays."""
    if name not in arrays:
        raise ConvnetError(f"{path}: expected an array {name}, found {', '.join(arrays) or 'no arrays'}")
    return arrays[name]


def _error(path: Path, name: str, expected: str, found: str) -> ConvnetError:
    """An error about an array."""
    return ConvnetError(f"{path}: {name}: expected {expected}; found {found}")


def _kind(array: Array) -> str:
    """What an array is, for messages."""
    return f"{array.dtype} of shape {array.shape}"
