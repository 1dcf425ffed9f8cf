"""Keeps two processes from writing into one folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convnet.errors import ConvnetError


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder; the system lets go of it when the process ends, however it ends.

    doing: what the process does with it, for the message.

    Raises:
        ConvnetError: if another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConvnetError(f"{folder}: another process is {doing}") from error
    finally:
        os.close(descriptor)
