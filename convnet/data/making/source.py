"""What photographs are made into data batches of."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

Identity = dict[str, str | int | float | None]


class Place(NamedTuple):
    """Where an image belongs. labels: indices of the label names. test: whether it is in the test set."""

    labels: tuple[int, ...]
    test: bool


@dataclass(frozen=True)
class Item:
    """An image of a source.

    name: its path inside the source. place: None where only the names of all images tell it, see `CompressedFolders`.
    read: gives its bytes, in any thread. Raises one of archive.READ_ERRORS where it cannot be read.
    """

    name: str
    place: Place | None
    read: Callable[[], bytes]


class Source(Protocol):
    """Images with their classes.

    name: a word for users. folder: where a change of anything inside is a change of the source; None where no folder is
    that. label_names: of the classes; empty for `CompressedFolders`, whose names come last. total: the number of
    images, None where it is not known beforehand. identity: what would be different if it were another source, or had
    been changed.
    """

    name: str
    folder: Path | None
    label_names: list[str]
    total: int | None
    identity: Identity

    def items(self, start: int) -> Iterator[Item]:
        """The images from number `start` on, in the order in which they lie.

        Raises ConvnetError where the source is damaged.
        """


def read_file(path: Path) -> bytes:
    """The bytes of a plain file. Raises OSError for anything else, at once also for what one could wait for."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a plain file")
    return path.read_bytes()


def file_identity(key: str, path: Path) -> Identity:
    """What changes with a file, under names that begin with `key`. Raises OSError where there is none."""
    status = path.stat()
    return {key: str(path.resolve()), f"{key} bytes": status.st_size, f"{key} time": status.st_mtime_ns}
