"""What a form of stored photographs tells: where each JPEG lies, what it shows, and the statistics of all."""

from __future__ import annotations

from collections.abc import Sequence
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

    def cases(self, batchnum: int) -> int:
        """The number of cases in a batch. Raises KeyError for a batch that is not there."""

    def records(self, batchnum: int) -> Records:
        """The cases of a batch, in order. Raises KeyError for a batch that is not there, ConvnetError for damage."""
