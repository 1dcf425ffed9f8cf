"""Where backends keep what takes long to make."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
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


def _temporary() -> Path:
    place = Path(tempfile.mkdtemp(prefix="convnet-kernels-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place
