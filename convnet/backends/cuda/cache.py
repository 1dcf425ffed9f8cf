"""The folder where the backend keeps what takes long to find out: compiled kernels, and choices among them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from convnet.backends.cache import user_folder


@cache
def folder() -> Path:
    """The folder, in the user's cache; the same one throughout a process."""
    return user_folder("cuda")


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
