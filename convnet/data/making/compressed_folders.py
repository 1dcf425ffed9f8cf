"""Photographs in a compressed tar archive with a folder for each class, which can only be gone through as a whole."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from convnet.data.archive import READ_ERRORS, entries, is_archive
from convnet.data.class_folders import is_wanted
from convnet.data.making.class_folders import Classes, classify, reader
from convnet.data.making.source import Identity, Item, file_identity


def is_compressed_tar(path: Path) -> bool:
    """Whether `path` is an archive, but not one whose names can be listed without reading all of it."""
    if not is_archive(path) or path.suffix.lower() == ".zip":
        return False
    try:
        tarfile.open(path, "r:").close()
    except READ_ERRORS:
        return True
    return False


class CompressedFolders:
    """A `Source`, whose fields are described there, that is gone through once.

    Its names are therefore known when all images are read, and only then to which classes these belong. Images in
    folders that turn out to be no class's are read as well, take room until then, and count as bad ones if they are.
    """

    def __init__(self, path: Path, test_share: float | None) -> None:
        """test_share: see `class_folders.classify`. Raises ConvnetError where `path` cannot be read."""
        next(entries(path), None)
        self.name, self._path, self._test_share = path.name, path, test_share
        self.folder: Path | None = None
        self.label_names: list[str] = []
        self.total: int | None = None
        self._folders: set[str] = set()
        self.identity: Identity = {**file_identity("archive", path), "test share": test_share}

    def items(self, start: int) -> Iterator[Item]:
        """See Source."""
        number = 0
        for name, content in entries(self._path):
            if content is None:
                self._folders.add(str(name))
            elif is_wanted(name):
                if number >= start:
                    yield Item(str(name), None, reader(content))
                number += 1

    @property
    def folders(self) -> list[str]:
        """The folders that the archive names: all of them, once `items` has ended."""
        return sorted(self._folders)

    def classify(self, names: Iterable[str], folders: Iterable[str]) -> Classes:
        """Where the images belong. names: of all of them. folders: as above.

        Raises ConvnetError naming the file or folder that is not as expected.
        """
        return classify(self._path, names, map(PurePosixPath, folders), self._test_share)
