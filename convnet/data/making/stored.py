"""Photographs that are stored in data batches already, which are made into others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from convnet.data.image_source import ImageSource
from convnet.data.making.source import Identity, Item, Place


class Stored:
    """A `Source`, whose fields are described there: the cases of an `ImageSource`."""

    def __init__(self, path: Path, images: ImageSource) -> None:
        """path: where the images are, for names and messages."""
        self.name, self._path, self._images = path.name, path, images
        self.folder: Path | None = None
        self.label_names = images.label_names
        self._batches = [*images.train_batches, *images.test_batches]
        self.total: int | None = sum(map(images.cases, self._batches))
        sizes = {batch: images.cases(batch) for batch in self._batches}
        text = repr((images.name, sizes, images.test_batches, images.label_names, images.mean.tobytes()))
        self.identity: Identity = {"batches": str(path.resolve()), "cases": hashlib.sha256(text.encode()).hexdigest()}

    def items(self, start: int) -> Iterator[Item]:
        """See Source."""
        for batch in self._batches:
            cases = self._images.cases(batch)
            if start < cases:
                yield from self._batch_items(batch, start)
            start = max(0, start - cases)

    def _batch_items(self, batch: int, start: int) -> Iterator[Item]:
        """The cases of a batch from one on."""
        records, tested = self._images.records(batch), batch in set(self._images.test_batches)
        for case in range(start, len(records)):
            path = records.paths[int(records.files[case])]
            read = partial(_slice, path, int(records.offsets[case]), int(records.sizes[case]))
            yield Item(f"batch {batch}, case {case}", Place(tuple(records.labels[case]), tested), read)


def _slice(path: Path, offset: int, size: int) -> bytes:
    """Some bytes of a file. Raises OSError where it has fewer."""
    with path.open("rb") as file:
        file.seek(offset)
        content = file.read(size)
    if len(content) != size:
        raise OSError(f"{path} is cut off")
    return content
