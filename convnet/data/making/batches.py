"""Writes data batches: tar files, and what is added up over the training images on the way."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np

from convnet.data.augment import Array, Integers, centre
from convnet.data.jpeg import JpegDecoder
from convnet.data.making.pool import in_order
from convnet.data.making.spool import Spool
from convnet.data.making.work import Work
from convnet.data.shards import batch_name

_THREAD = threading.local()


@dataclass(frozen=True)
class Batch:
    """A data batch to write. cases: numbers of images of the spool, in order. train: whether it is to train on."""

    number: int
    cases: Integers
    train: bool


class Sums:
    """What is added up over training images; integers, so that the sums are the same in any order.

    size: of the squares in the middle of the images. pixels: (size, size, 3), the sum of the squares. products: (3, 3),
    the sum over their pixels of colour times colour.
    """

    def __init__(self, size: int, kind: type[np.uint32 | np.int64] = np.int64) -> None:
        """kind: of the pixels' sums; uint32 is enough for a data batch, and takes half the room on disk."""
        self.size = size
        self.pixels: Array = np.zeros((size, size, 3), kind)
        self.products: Integers = np.zeros((3, 3), np.int64)

    def add(self, pixels: Array, products: Integers) -> None:
        """Add an image, or the sums over some."""
        self.pixels += pixels
        self.products += products


def write_batch(
    batch: Batch, spool: Spool, work: Work, total: Sums, threads: int, progress: Callable[[int], None]
) -> Integers:
    """Write a data batch, unless an earlier process did, and add its images to `total` if they are to train on.

    progress: called with the number of cases that are done. Returns (cases,) offsets of the JPEGs in the tar file.
    """
    path, record = work.target / batch_name(batch.number), work.folder / f"batch_{batch.number}.npz"
    if path.exists() and record.exists():
        with np.load(record) as file:
            arrays: dict[str, Array] = dict(file)
    else:
        arrays = _write(path, batch, spool, work, total.size, threads, progress)
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **arrays)
        work.put(record, stream.getvalue())
    if batch.train:
        total.add(arrays["pixels"], arrays["products"])
    return arrays["offsets"]


def _write(
    path: Path, batch: Batch, spool: Spool, work: Work, size: int, threads: int, progress: Callable[[int], None]
) -> dict[str, Array]:
    """Write the tar file. Returns the offsets and, of training images, the sums."""
    offsets = np.empty(len(batch.cases), np.int64)
    sums = Sums(size, np.uint32) if batch.train else None
    look = partial(_look, spool=spool, size=size if batch.train else None)
    with (
        closing(in_order(look, batch.cases.tolist(), threads)) as images,
        work.writing(path) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for number, (jpeg, square) in enumerate(images):
            offsets[number] = _add(archive, f"{number:08}.jpg", jpeg)
            _add_labels(archive, number, spool.labels[batch.cases[number]])
            if sums is not None and square is not None:
                sums.add(*square)
            progress(number + 1)
    return {"offsets": offsets} | ({"pixels": sums.pixels, "products": sums.products} if sums is not None else {})


def _look(case: int, spool: Spool, size: int | None) -> tuple[bytes, tuple[Array, Integers] | None]:
    """A JPEG; where there is a size, the square of that size in its middle and the products of its colours."""
    jpeg = spool.read(case)
    if size is None:
        return jpeg, None
    if not hasattr(_THREAD, "decoder"):
        _THREAD.decoder = JpegDecoder()
    square = centre(_THREAD.decoder.decode(jpeg, f"image {case}"), (size, size)).copy()
    return jpeg, (square, _products(square))


def _products(image: Array) -> Integers:
    """The sums over all pixels (y, x, 3) of colour times colour: (3, 3). Without BLAS, which has threads of its own."""
    colours = [np.ascontiguousarray(image[..., colour]).astype(np.uint32) for colour in range(3)]
    sums = np.empty((3, 3), np.int64)
    for one, other in combinations_with_replacement(range(3), 2):
        sums[one, other] = sums[other, one] = (colours[one] * colours[other]).sum(dtype=np.int64)
    return sums


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> int:
    """Add a member; time and owner are 0. Returns where its content begins."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    begin = archive.offset + tarfile.BLOCKSIZE
    archive.addfile(entry, io.BytesIO(content))
    return begin


def _add_labels(archive: tarfile.TarFile, number: int, labels: tuple[int, ...]) -> None:
    """Add the labels of a case, if it has any."""
    if labels:
        _add(archive, f"{number:08}.cls", str(labels[0]).encode())
    if len(labels) > 1:
        _add(archive, f"{number:08}.json", json.dumps({"labels": labels}).encode())
