"""IDX files: MNIST, Fashion-MNIST and what else comes in their form.

A file is two zero bytes, the type of its numbers (8 for uint8), the number of its axes, the length of each axis as four
bytes with the highest first, and the numbers.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from convnet.data.augment import Array
from convnet.data.memory import ImageSet, MemoryProvider, batch_sizes
from convnet.data.provider import DataProvider, ProviderOptions
from convnet.errors import ConvnetError

NAME = "idx"
_IMAGES, _LABELS = ("images", 3), ("labels", 1)  # what is in a file, and the number of axes
_UINT8 = 8


def recognizes(path: Path) -> bool:
    """Whether `path` is a folder with the training images of an IDX data set."""
    return path.is_dir() and _find(path, "train", _IMAGES) is not None


def open_idx(options: ProviderOptions) -> DataProvider:
    """The files train-images-idx3-ubyte, train-labels-idx1-ubyte and the same with t10k, plain or .gz: grey images.

    Raises ConvnetError naming the file that is missing, damaged or not as expected.
    """
    path = options.data_path
    (train, train_labels), (test, test_labels) = (_read_set(path, part) for part in ("train", "t10k"))
    if train.shape[1:] != test.shape[1:]:
        raise ConvnetError(f"{path}: train images are {train.shape[1:]} and t10k images {test.shape[1:]} pixels")
    labels = np.concatenate((train_labels, test_labels)).astype(np.int64)
    images = ImageSet(
        description=f"IDX files in {path.name}",
        pixels=np.concatenate((train, test))[..., None],
        labels=labels,
        label_names=[str(label) for label in range(int(labels.max()) + 1)],
        train_sizes=batch_sizes(len(train), train[0].size, options.batch_size),
        test_sizes=batch_sizes(len(test), test[0].size, options.batch_size),
    )
    return MemoryProvider(NAME, images, options)


def _read_set(folder: Path, part: str) -> tuple[Array, Array]:
    """Images (cases, y, x) and labels (cases,) of `part`, train or t10k."""
    images, labels = (_read_part(folder, part, content) for content in (_IMAGES, _LABELS))
    if len(images) != len(labels):
        raise ConvnetError(f"{folder}: {part}: expected as many labels as images ({len(images)}), found {len(labels)}")
    return images, labels


def _read_part(folder: Path, part: str, content: tuple[str, int]) -> Array:
    """The numbers in one file of a set."""
    path = _find(folder, part, content)
    if path is None:
        raise ConvnetError(f"{folder}: expected the file {_file_name(part, content)} or its .gz")
    return read_idx(path, content[1])


def _file_name(part: str, content: tuple[str, int]) -> str:
    """The published name of a file."""
    return f"{part}-{content[0]}-idx{content[1]}-ubyte"


def _find(folder: Path, part: str, content: tuple[str, int]) -> Path | None:
    """A file of a set, by its published name or with a dot for the last hyphen but one, as some tools have it."""
    name = _file_name(part, content)
    candidates = (folder / (base + end) for base in (name, name.replace("-idx", ".idx")) for end in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def read_idx(path: Path, axes: int) -> Array:
    """The uint8 numbers in an IDX file, plain or .gz, with so many axes, none of them empty.

    Raises ConvnetError where the file is damaged or holds something else.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error
    start = 4 + 4 * axes
    wanted = bytes((0, 0, _UINT8, axes))
    if content[:4] != wanted or len(content) < start:
        raise ConvnetError(f"{path}: expected an IDX file that begins with {wanted.hex()}, found {content[:4].hex()}")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", axes, offset=4))
    if 0 in shape:
        raise ConvnetError(f"{path}: expected numbers, found an empty array {shape}")
    if len(content) - start != math.prod(shape):
        raise ConvnetError(f"{path}: expected {shape} = {math.prod(shape)} bytes, found {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
