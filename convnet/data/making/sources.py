"""Which source a path is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from convnet.data.archive import is_archive
from convnet.data.image_source import is_image_source, open_image_source
from convnet.data.making.class_folders import ClassFolders
from convnet.data.making.compressed_folders import CompressedFolders, is_compressed_tar
from convnet.data.making.ilsvrc import PUBLISHED, Ilsvrc, IlsvrcFiles, is_ilsvrc
from convnet.data.making.source import Source
from convnet.data.making.stored import Stored
from convnet.data.making.table import Table
from convnet.errors import ConvnetError


@dataclass(frozen=True)
class SourceOptions:
    """How to read a source.

    form: one of FORMS; None to recognize it by the path. test_share: the part of each class that becomes the test set,
    for class folders and tables that have none. ilsvrc: files that have other names than the published ones.

    Raises ConvnetError where a value is out of its range.
    """

    form: str | None = None
    test_share: float | None = None
    ilsvrc: IlsvrcFiles = PUBLISHED

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.test_share is not None and not 0 < self.test_share < 1:
            raise ConvnetError(f"test share: expected a number above 0 and below 1, found {self.test_share}")


@dataclass(frozen=True)
class _Form:
    """A form of source. recognizes: whether a path is one. open: what opens it. takes_share: see SourceOptions."""

    recognizes: Callable[[Path], bool]
    open: Callable[[Path, SourceOptions], Source]
    takes_share: bool = False


def _is_table(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".csv"


def _open_folders(path: Path, options: SourceOptions) -> Source:
    return (CompressedFolders if is_compressed_tar(path) else ClassFolders)(path, options.test_share)


def _open_batches(path: Path, _options: SourceOptions) -> Source:
    found = open_image_source(path)
    if found is None:
        raise ConvnetError(f"{path}: expected data batches of photographs, found none")
    return Stored(path, found)


# The order is that in which a path is tried.
_FORMS = {
    "batches": _Form(is_image_source, _open_batches),
    "ilsvrc2012": _Form(is_ilsvrc, lambda path, options: Ilsvrc(path, options.ilsvrc)),
    "csv": _Form(_is_table, lambda path, options: Table(path, options.test_share), takes_share=True),
    "folders": _Form(
        lambda path: path.is_dir() or is_archive(path),
        _open_folders,
        takes_share=True,
    ),
}
FORMS = tuple(_FORMS)


def open_source(path: Path, options: SourceOptions) -> Source:
    """The source at `path`, of the form that the options name or that the path has.

    Raises ConvnetError for a path that is no source, or is damaged, and for options that do not fit it.
    """
    if not path.exists():
        raise ConvnetError(f"{path}: expected photographs, but there is no such file or folder")
    name = options.form or _recognized(path, options)
    if name not in _FORMS:
        raise ConvnetError(f"form: expected one of {', '.join(FORMS)}; found '{name}'")
    if options.test_share is not None and not _FORMS[name].takes_share:
        raise ConvnetError(f"{path}: a test share was given, but data of the form {name} has a test set of its own")
    if options.ilsvrc != PUBLISHED and name != "ilsvrc2012":
        raise ConvnetError(f"{path}: files of ILSVRC 2012 were given, but this is of the form {name}")
    return _FORMS[name].open(path, options)


def _recognized(path: Path, options: SourceOptions) -> str:
    """The form of a path."""
    if options.ilsvrc != PUBLISHED:
        return "ilsvrc2012"
    for name, form in _FORMS.items():
        if form.recognizes(path):
            return name
    raise ConvnetError(
        f"{path}: expected a folder or a tar or zip archive with a folder for each class, a .csv file, a folder with "
        "ILSVRC 2012's tars, or data batches"
    )
