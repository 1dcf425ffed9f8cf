"""Photographs in a folder or an archive with a folder for each class."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from convnet.data.archive import READ_ERRORS, FileContent, entries
from convnet.data.augment import Integers
from convnet.data.class_folders import find_class_folders, is_wanted
from convnet.data.making.source import Identity, Item, file_identity, read_file
from convnet.data.split import test_cases
from convnet.errors import ConvnetError


class ClassFolders:
    """A `Source`, whose fields are described there; see `class_folders.find_classes` for the folders.

    The names are listed once, without reading any contents.
    """

    def __init__(self, path: Path, test_share: float | None) -> None:
        """test_share: the part of each class that is tested on where the folders do not say, see split.test_cases.

        Raises ConvnetError naming the file or folder that is not as expected, or `path` where it cannot be read.
        """
        self.name, self._path = path.name, path
        self.folder = path if path.is_dir() else None
        names, folders = _listed(path)
        examples: dict[PurePosixPath, PurePosixPath] = {}
        for name in map(PurePosixPath, names):
            examples[name.parent] = min(name, examples.get(name.parent, name))
        train, test = find_class_folders(path, folders, examples)
        if test and test_share is not None:
            raise ConvnetError(f"{path}: a test share was given, but the data has a test set of its own")
        self.label_names = list(train or test)
        sets = ((train, False), (test, True))
        self._classes = {
            str(folder): (label, tested)
            for classes, tested in sets
            for label, folders in enumerate(classes.values())
            for folder in folders
        }
        names = [name for name in names if _folder(name) in self._classes]
        self._tested = _share(names, self._labels(names), test_share) if not test else None
        self.total: int | None = len(names)
        self.identity: Identity = {**_identity(path, names), "test share": test_share}

    def _labels(self, names: list[str]) -> Integers:
        """The labels of images."""
        return np.array([self._classes[_folder(name)][0] for name in names], np.int64)

    def items(self, start: int) -> Iterator[Item]:
        """See Source."""
        number = 0
        for name, content in entries(self._path):
            place = self._classes.get(str(name.parent)) if content is not None and is_wanted(name) else None
            if content is None or place is None:
                continue
            if number >= start:
                label, tested = place
                tested = tested if self._tested is None else bool(self._tested[number])
                yield Item(str(name), (label,), tested, reader(content))
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


def _folder(name: str) -> str:
    """The folder that a file lies in, as PurePosixPath writes it."""
    return name.rpartition("/")[0] or "."


def _listed(path: Path) -> tuple[list[str], set[PurePosixPath]]:
    """The names of all images as they come, and all folders."""
    names, folders = [], set()
    for name, content in entries(path):
        if content is None:
            folders.add(name)
        elif is_wanted(name):
            names.append(str(name))
    return names, folders


def _share(names: list[str], labels: Integers, share: float | None) -> Integers:
    """A mask of the images to test on, the same whatever the order of the names."""
    order = np.array(sorted(range(len(names)), key=names.__getitem__))
    mask = np.zeros(len(names), bool)
    mask[order] = test_cases(labels[order], share)
    return mask


def _identity(path: Path, names: list[str]) -> Identity:
    """What changes with a folder's names, or with an archive."""
    if not path.is_dir():
        return file_identity("archive", path)
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode(errors="surrogateescape") + b"\0")
    return {"folder": str(path.resolve()), "names": digest.hexdigest()}
