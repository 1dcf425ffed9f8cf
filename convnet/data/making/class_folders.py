"""Photographs in a folder or an archive with a folder for each class."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from convnet.data.archive import READ_ERRORS, FileContent, entries
from convnet.data.class_folders import find_class_folders, is_wanted
from convnet.data.making.source import Identity, Item, Place, file_identity, read_file
from convnet.data.split import test_cases
from convnet.errors import ConvnetError


@dataclass(frozen=True)
class Classes:
    """What names tell. label_names: of the classes. places: of each image that is in the folder of a class."""

    label_names: list[str]
    places: dict[str, Place]


def classify(path: Path, names: Iterable[str], folders: Iterable[PurePosixPath], test_share: float | None) -> Classes:
    """Where the images of `path` belong; see `class_folders.find_classes` for the folders.

    names: of all images in it. folders: all there are, but those with images may be missing. test_share: the part of
    each class that is tested on where the folders do not say, see split.test_cases.

    Raises ConvnetError naming the file or folder that is not as expected.
    """
    unique = sorted(set(names))
    examples: dict[PurePosixPath, PurePosixPath] = {}
    for name in map(PurePosixPath, unique):
        examples.setdefault(name.parent, name)
    train, test = find_class_folders(path, folders, examples)
    if test and test_share is not None:
        raise ConvnetError(f"{path}: a test share was given, but the data has a test set of its own")
    found = {
        str(folder): Place((label,), tested)
        for classes, tested in ((train, False), (test, True))
        for label, inside in enumerate(classes.values())
        for folder in inside
    }
    places = {name: found[folder] for name in unique if (folder := _folder(name)) in found}
    return Classes(list(train or test), places if test else _shared(places, test_share))


def _folder(name: str) -> str:
    """The folder that a file lies in, as PurePosixPath writes it."""
    return name.rpartition("/")[0] or "."


def _shared(places: dict[str, Place], share: float | None) -> dict[str, Place]:
    """The places when a part of each class is tested on."""
    tested = test_cases(np.array([place.labels[0] for place in places.values()], np.int64), share)
    return {name: Place(place.labels, bool(test)) for (name, place), test in zip(places.items(), tested, strict=True)}


class ClassFolders:
    """A `Source`, whose fields are described there. The names are listed once, without reading any contents."""

    def __init__(self, path: Path, test_share: float | None) -> None:
        """test_share: see `classify`.

        Raises ConvnetError naming the file or folder that is not as expected, or `path` where it cannot be read.
        """
        self.name, self._path = path.name, path
        self.folder = path if path.is_dir() else None
        names, folders = _listed(path)
        classes = classify(path, names, folders, test_share)
        self.label_names, self._places = classes.label_names, classes.places
        names = [name for name in names if name in self._places]
        self.total: int | None = len(names)
        self.identity: Identity = {**_identity(path, names), "test share": test_share}

    def items(self, start: int) -> Iterator[Item]:
        """See Source."""
        number = 0
        for name, content in entries(self._path):
            place = self._places.get(str(name)) if content is not None else None
            if content is None or place is None:
                continue
            if number >= start:
                yield Item(str(name), place, reader(content))
            number += 1


def reader(content: FileContent) -> Callable[[], bytes]:
    """What gives the bytes, or raises what reading raised; what lies in an archive is read at once."""
    if isinstance(content, Path):
        return partial(read_file, content)
    try:
        return partial(bytes, content())
    except READ_ERRORS as error:
        return partial(_raise, error)


def _raise(error: Exception) -> bytes:
    raise error


def _listed(path: Path) -> tuple[list[str], set[PurePosixPath]]:
    """The names of all images as they come, and all folders."""
    names, folders = [], set()
    for name, content in entries(path):
        if content is None:
            folders.add(name)
        elif is_wanted(name):
            names.append(str(name))
    return names, folders


def _identity(path: Path, names: list[str]) -> Identity:
    """What changes with a folder's names, or with an archive."""
    if not path.is_dir():
        return file_identity("archive", path)
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode(errors="surrogateescape") + b"\0")
    return {"folder": str(path.resolve()), "names": digest.hexdigest()}
