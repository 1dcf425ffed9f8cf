"""The folder where the backend keeps what takes long to find out: compiled kernels, and choices among them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from convnet.backends.cache import digest, user_folder, written_aside

__all__ = ["digest", "folder", "written_aside"]


@cache
def folder() -> Path:
    """The folder, in the user's cache; the same one throughout a process."""
    return user_folder("cuda")
