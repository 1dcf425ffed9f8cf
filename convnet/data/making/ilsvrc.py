"""ILSVRC 2012 as it is published: a tar of tars to train on, a flat tar to test on, and the development kit."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from convnet.data.archive import READ_ERRORS, FileContent, entries, tar_entries, tar_members
from convnet.data.class_folders import is_wanted
from convnet.data.making.class_folders import reader
from convnet.data.making.source import Identity, Item, Place, file_identity
from convnet.data.making.synsets import number_in, read_ground_truth, read_synsets
from convnet.errors import ConvnetError

TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
KIT = "ILSVRC2012_devkit_t12.tar.gz"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
# The first one there is used.
GROUND_TRUTHS = (GROUND_TRUTH, f"data/{GROUND_TRUTH}", KIT)
TABLES = (KIT, "meta.mat", "data/meta.mat", "synsets.txt", "synset_words.txt", "LOC_synset_mapping.txt")


@dataclass(frozen=True)
class IlsvrcFiles:
    """The files, each None where it has the name that it was published with. See `synsets` for what they may be."""

    train: Path | None = None
    validation: Path | None = None
    ground_truth: Path | None = None
    synsets: Path | None = None


PUBLISHED = IlsvrcFiles()


def is_ilsvrc(path: Path) -> bool:
    """Whether a folder holds one of the two tars."""
    return (path / TRAIN).is_file() or (path / VALIDATION).is_file()


class Ilsvrc:
    """A `Source`, whose fields are described there. The validation images come first: what is wrong shows early."""

    def __init__(self, folder: Path, files: IlsvrcFiles) -> None:
        """Read the tables, and list what must agree with them.

        Raises ConvnetError naming what is missing, or does not agree.
        """
        self.name = "ILSVRC 2012"
        self.folder: Path | None = None
        self.total: int | None = None  # to count the training images would be to go through all of their tar
        self._train = files.train or _first(folder, (TRAIN,))
        self._validation = files.validation or _first(folder, (VALIDATION,))
        if self._train is None and self._validation is None:
            raise ConvnetError(f"{folder}: expected {TRAIN} or {VALIDATION}, found neither")
        table = _needed(files.synsets, folder, TABLES, "the synset table")
        synsets = read_synsets(table)
        self.label_names = synsets.names
        self._index = {synset: label for label, synset in enumerate(synsets.ids)}
        self._truth: list[int] = []
        self.identity: Identity = {"synsets": hashlib.sha256(repr(synsets).encode()).hexdigest()}
        if self._validation is not None:
            path = _needed(files.ground_truth, folder, GROUND_TRUTHS, "the validation images' ground truth")
            self._truth = read_ground_truth(path, GROUND_TRUTH, synsets)
            _check_validation(self._validation, len(self._truth), path)
            self.identity |= {"ground truth": hashlib.sha256(repr(self._truth).encode()).hexdigest()}
            self.identity |= _identity("validation", self._validation)
        if self._train is not None:
            self._check_train(self._train, table)
            self.identity |= _identity("train", self._train)

    def _check_train(self, path: Path, table: Path) -> None:
        """Raises ConvnetError unless there is a tar for every synset, and no other."""
        found = [name for name, content in entries(path) if content is not None]
        other = next((name for name in found if name.suffix != ".tar" or name.stem not in self._index), None)
        if other is not None:
            raise ConvnetError(f"{path}: expected a tar for each synset of {table}, found {other}")
        missing = sorted(set(self._index) - {name.stem for name in found})
        if missing:
            raise ConvnetError(f"{path}: expected {missing[0]}.tar in it, which {table} names; found no such file")

    def items(self, start: int) -> Iterator[Item]:
        """See Source."""
        for name, label, tested, content in islice(self._all(), start, None):
            yield Item(name, Place((label,), tested), reader(content))

    def _all(self) -> Iterator[tuple[str, int, bool, FileContent]]:
        """All images: name, label, whether to test on it, and what reads it."""
        if self._validation is not None:
            for name, content in entries(self._validation):
                number = number_in(name) if is_wanted(name) else None
                if number is not None and content is not None:
                    yield name.name, self._truth[number - 1], True, content
        if self._train is not None:
            for synset, name, content in _inner_entries(self._train):
                yield f"{synset}/{name.name}", self._index[synset], False, content


def _inner_entries(path: Path) -> Iterator[tuple[str, PurePosixPath, FileContent]]:
    """The images in the tars in a tar, and the names of their tars."""
    try:
        with tarfile.open(path) as outer:
            for entry in tar_members(outer):
                file = outer.extractfile(entry)
                if file is None:
                    continue
                with tarfile.open(fileobj=file) as inner:
                    for name, content in tar_entries(inner):
                        if content is not None and is_wanted(name):
                            yield PurePosixPath(entry.name).stem, name, content
    except READ_ERRORS as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error


def _check_validation(path: Path, expected: int, truth: Path) -> None:
    """Raises ConvnetError unless the images are numbered 1 .. expected."""
    numbers = [number_in(name) for name, content in entries(path) if content is not None and is_wanted(name)]
    if sorted(number or 0 for number in numbers) != list(range(1, expected + 1)):
        last = f", the last one {max(number or 0 for number in numbers)}" if numbers else ""
        raise ConvnetError(
            f"{path}: expected images numbered 1 .. {expected}, as {truth} has so many lines; found {len(numbers)} "
            f"images{last}"
        )


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The first of the files that is in a folder."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _needed(given: Path | None, folder: Path, names: tuple[str, ...], what: str) -> Path:
    """A file that is given, or found by its name. Raises ConvnetError where there is none."""
    path = given or _first(folder, names)
    if path is None:
        raise ConvnetError(f"{folder}: expected {what}, one of {', '.join(names)}; found none of them")
    return path


def _identity(key: str, path: Path) -> Identity:
    """What changes with a file."""
    try:
        return file_identity(key, path)
    except OSError as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error
