"""Keeps two processes from training one run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convnet.errors import ConvnetError


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the folder of a run; the system lets go of it when the process ends, however it ends.

    Raises:
        ConvnetError: if another process holds it.
    """
    descriptor = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConvnetError(f"{run}: another process is training this run") from error
    finally:
        os.close(descriptor)
