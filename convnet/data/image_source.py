"""What a form of stored photographs tells: where each JPEG lies, what it shows, and the statistics of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from convnet.data.augment import Array, Floats, Integers


@dataclass(frozen=True)
class Records:
    """Where the JPEGs of a data batch lie, and their labels; n cases.

    paths: the files that hold them. files: (n,) which of `paths`. offsets, sizes: (n,) bytes within the file.
    labels: of each case its labels, indices of the label names; none at all for a case whose class is not known.
    """

    paths: Sequence[Path]
    files: Integers
    offsets: Integers
    sizes: Integers
    labels: Sequence[tuple[int, ...]]

    def __len__(self) -> int:
        """The number of cases."""
        return len(self.labels)


class ImageSource(Protocol):
    """Photographs stored as JPEGs in numbered data batches.

    name: of the provider. description: what data this is. side: of the square that every stored image holds, in
    pixels; images may be larger in one direction. mean: (y, x, 3) float32, of the centres of the training images,
    `side` pixels a side. colour_axes: (axis, colour), as augment.colour_axes; None where nobody knows. several_labels:
    whether a case may have another number of labels than one.
    """

    name: str
    description: str
    label_names: list[str]
    train_batches: list[int]
    test_batches: list[int]
    side: int
    mean: Array
    colour_axes: Floats | None
    several_labels: bool

    @property
    def alike(self) -> bool | None:
        """Whether all stored images are `side` pixels high and wide; None where that is not known."""

    def cases(self, batchnum: int) -> int:
        """The number of cases in a batch. Raises KeyError for a batch that is not there."""

    def records(self, batchnum: int) -> Records:
        """The cases of a batch, in order. Raises KeyError for a batch that is not there, ConvnetError for damage."""


def is_image_source(path: Path) -> bool:
    """Whether `path` is a folder of data batches of photographs, in one of the forms that there are."""
    return _opener(path) is not None


def open_image_source(path: Path) -> ImageSource | None:
    """The data batches of photographs in the folder `path`; None where it is none.

    Raises ConvnetError for what is wrong with its files.
    """
    opener = _opener(path)
    return None if opener is None else opener(path)


def _opener(path: Path) -> Callable[[Path], ImageSource] | None:
    """What opens the folder: those that `convnet data make` wrote come before cuda-convnet2's."""
    from convnet.data import convnet2, shards  # here, because they need this module and other data none of them

    if shards.is_shards(path):
        return shards.open_shards
    return convnet2.open_convnet2 if convnet2.is_convnet2(path) else None
