"""Files in a folder or in a tar or zip archive, read alike. Nothing is unpacked to disk."""

from __future__ import annotations

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from convnet.errors import ConvnetError

_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".zip")
# What damaged, encrypted or forbidden files make the standard library raise.
READ_ERRORS = (
    OSError,
    EOFError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
)

# What stands behind a name: None for a folder, a file on disk, or how to read the file from its archive now.
FileContent = Path | Callable[[], bytes]
Content = FileContent | None
Entries = Iterator[tuple[PurePosixPath, Content]]


@dataclass(frozen=True)
class Member:
    """A file. name: its path inside the folder or archive. content: where it lies, or what it holds."""

    name: PurePosixPath
    content: Path | bytes

    def read(self) -> bytes:
        """The bytes of the file. Raises OSError where it cannot be read."""
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content


@dataclass(frozen=True)
class Tree:
    """The wanted files and all folders in a folder or an archive, sorted by name."""

    files: list[Member]
    folders: list[PurePosixPath]


def is_archive(path: Path) -> bool:
    """Whether `path` is a file with the name of a tar or zip archive."""
    return path.is_file() and path.name.lower().endswith(_SUFFIXES)


def read_tree(path: Path, wanted: Callable[[PurePosixPath], bool]) -> Tree:
    """What is in a folder or an archive. The files of an archive are read at once, those of a folder when asked for.

    Raises ConvnetError where `path` cannot be read.
    """
    files, folders = [], set()
    for name, content in entries(path):
        if content is None:
            folders.add(name)
        elif wanted(name):
            files.append(Member(name, content if isinstance(content, Path) else _read(path, content)))
    return Tree(sorted(files, key=lambda member: member.name), sorted(folders))


def names(path: Path) -> Iterator[PurePosixPath]:
    """The names of all files and folders in an archive, as they come. Raises ConvnetError where it cannot be read."""
    for name, _ in entries(path):
        yield name


def entries(path: Path) -> Entries:
    """The names and contents in a folder, sorted, or in an archive, as they come.

    What is in a tar archive must be read before the next one is asked for. Contents that are not read cost little,
    unless the archive is compressed.

    Raises ConvnetError where `path` cannot be read.
    """
    try:
        if path.is_dir():
            yield from _folder_entries(path)
        else:
            yield from _zip_entries(path) if path.suffix.lower() == ".zip" else _tar_file_entries(path)
    except READ_ERRORS as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error


def _read(path: Path, content: Callable[[], bytes]) -> bytes:
    """What a file in an archive holds. Raises ConvnetError where it cannot be read."""
    try:
        return content()
    except READ_ERRORS as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error


def _folder_entries(path: Path) -> Entries:
    """Everything below a folder. Links are followed, except those to a folder that they are in: loops."""
    waiting = [(path, frozenset((_identity(path),)))]
    while waiting:
        folder, around = waiting.pop()
        inner = []
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            place = Path(entry.path)
            name = PurePosixPath(place.relative_to(path).as_posix())
            if not entry.is_dir():
                yield name, place
            elif (identity := _identity(place)) not in around:
                inner.append((place, around | {identity}))
                yield name, None
        waiting.extend(reversed(inner))


def _identity(folder: Path) -> tuple[int, int]:
    """What a folder is known by, whatever links lead to it."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _zip_entries(path: Path) -> Entries:
    """Everything in a zip archive."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            yield PurePosixPath(entry.filename), None if entry.is_dir() else partial(archive.read, entry)


def _tar_file_entries(path: Path) -> Entries:
    """The folders and plain files in a tar archive, compressed or not, front to back."""
    with tarfile.open(path) as archive:
        yield from tar_entries(archive)


def tar_entries(archive: tarfile.TarFile) -> Entries:
    """The folders and plain files in an open tar archive, front to back.

    Raises one of READ_ERRORS where it cannot be read.
    """
    for entry in tar_members(archive):
        if entry.isdir():
            yield PurePosixPath(entry.name), None
        elif entry.isfile():
            yield PurePosixPath(entry.name), partial(_read_tar, archive, entry)


def tar_members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Everything in an open tar archive, front to back, in little memory.

    Raises one of READ_ERRORS where it cannot be read, also for an archive that is cut off.
    """
    while (entry := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep a million of them
        yield entry
    # tarfile takes an archive that was cut off between two files for a whole one; a whole one has an end block.
    if archive.fileobj is None or archive.fileobj.tell() < archive.offset + tarfile.BLOCKSIZE:
        raise tarfile.ReadError("the archive is cut off")


def _read_tar(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    """The bytes of a plain file in a tar archive."""
    file = archive.extractfile(entry)
    return file.read() if file else b""
