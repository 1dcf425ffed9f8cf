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
_Content = Path | Callable[[], bytes] | None
_Entries = Iterator[tuple[PurePosixPath, _Content]]


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
    try:
        for name, content in _entries(path):
            if content is None:
                folders.add(name)
            elif wanted(name):
                files.append(Member(name, content if isinstance(content, Path) else content()))
    except READ_ERRORS as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error
    return Tree(sorted(files, key=lambda member: member.name), sorted(folders))


def names(path: Path) -> Iterator[PurePosixPath]:
    """The names of all files and folders in an archive, as they come. Raises ConvnetError where it cannot be read."""
    try:
        for name, _ in _entries(path):
            yield name
    except READ_ERRORS as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error


def _entries(path: Path) -> _Entries:
    """The names and contents in a folder or an archive."""
    if path.is_dir():
        return _folder_entries(path)
    return _zip_entries(path) if path.suffix.lower() == ".zip" else _tar_entries(path)


def _folder_entries(path: Path) -> _Entries:
    """Everything below a folder, whose links are followed."""
    for folder, folders, files in os.walk(path, onerror=_raise, followlinks=True):
        inside = PurePosixPath(Path(folder).relative_to(path).as_posix())
        yield from ((inside / name, None) for name in folders)
        yield from ((inside / name, Path(folder, name)) for name in files)


def _zip_entries(path: Path) -> _Entries:
    """Everything in a zip archive."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            yield PurePosixPath(entry.filename), None if entry.is_dir() else partial(archive.read, entry)


def _tar_entries(path: Path) -> _Entries:
    """The folders and plain files in a tar archive, front to back."""
    with tarfile.open(path, "r|*") as archive:
        for entry in archive:
            if entry.isdir():
                yield PurePosixPath(entry.name), None
            elif entry.isfile():
                yield PurePosixPath(entry.name), partial(_read_tar, archive, entry)
        # tarfile takes an archive that was cut off between two files for a whole one; a whole one has an end block.
        if archive.fileobj is None or archive.fileobj.tell() < archive.offset + tarfile.BLOCKSIZE:
            raise tarfile.ReadError("the archive is cut off")


def _read_tar(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    """The bytes of a plain file in a tar archive."""
    file = archive.extractfile(entry)
    return file.read() if file else b""


def _raise(error: OSError) -> None:
    """Let a folder that cannot be listed be an error; os.walk would leave it out."""
    raise error
