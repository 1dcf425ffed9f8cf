"""Where backends keep what takes long to make."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def user_folder(name: str) -> Path:
    """The folder `name` in the user's cache, made where there is none.

    Where no place can be written to, it is a temporary folder that goes away with the process.
    """
    kept = Path(platformdirs.user_cache_dir("convnet")) / name
    return kept if _writable(kept) else _temporary()


def _writable(place: Path) -> bool:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(place, os.W_OK | os.X_OK)


_PREFIX = "convnet-kernels-"


def is_temporary(folder: Path) -> bool:
    """Whether a folder that `user_folder` gave goes away with the process."""
    return folder.name.startswith(_PREFIX)


def _temporary() -> Path:
    place = Path(tempfile.mkdtemp(prefix=_PREFIX))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def digest(text: str, files: Iterable[Path] = ()) -> str:
    """Stands for a text and for the content of files, in this order; fit for a file's name."""
    content = hashlib.sha256(text.encode())
    for file in files:
        content.update(file.read_bytes())
    return content.hexdigest()[:24]


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """A file to write, which then becomes `target`: nobody reads half of it. It is removed if something is raised.

    Raises:
        OSError: if there can be no such file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.stem}-", suffix=".part")
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
