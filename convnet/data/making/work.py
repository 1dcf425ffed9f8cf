"""Work that can be stopped at any point: the folder it is kept in, and files that are there whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from convnet.data.shards import META, PLAN, WORK
from convnet.errors import ConvnetError

_DONE = ".made"


class Work:
    """The folder inside `target` that holds what is needed to go on, until all is finished."""

    def __init__(self, target: Path, plan: Mapping[str, object]) -> None:
        """Begin, or go on where an earlier process stopped. plan: all that the result depends on, as JSON takes it.

        Raises ConvnetError where `target` holds other things, finished data batches, or work of another plan.
        """
        self.target, self.folder = target, target / WORK
        shutil.rmtree(target / _DONE, ignore_errors=True)
        if (self.folder / PLAN).exists():
            self._check(plan)
            return
        if (target / META).exists():
            raise ConvnetError(f"{target}: holds finished data batches; expected an empty folder or a new one")
        others = sorted(entry.name for entry in target.iterdir() if entry != self.folder)
        if others:
            raise ConvnetError(f"{target}: expected an empty folder or a new one, found {others[0]} in it")
        self.folder.mkdir(exist_ok=True)
        self.put(self.folder / PLAN, json.dumps(plan, indent=1).encode())

    def _check(self, plan: Mapping[str, object]) -> None:
        """Raises ConvnetError where an earlier process had another plan."""
        before = json.loads((self.folder / PLAN).read_bytes())
        for key in sorted({*before, *plan}):
            if before.get(key) != plan.get(key):
                raise ConvnetError(
                    f"{self.target}: the work there was begun with {key} {before.get(key)}, now it is {plan.get(key)}; "
                    f"go on with what it was begun with, or remove {self.target} to begin anew"
                )

    @contextmanager
    def writing(self, path: Path) -> Iterator[BinaryIO]:
        """A file that takes the place of `path` once it is whole and on disk."""
        aside = self.folder / f"{path.name}.tmp"
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)

    def put(self, path: Path, content: bytes) -> None:
        """Write a file."""
        with self.writing(path) as file:
            file.write(content)

    def finish(self) -> None:
        """Remove the folder, which is no longer needed."""
        os.replace(self.folder, self.target / _DONE)
        shutil.rmtree(self.target / _DONE)
