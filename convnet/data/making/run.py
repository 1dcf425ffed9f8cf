"""Photographs become data batches."""

from __future__ import annotations

import os
import warnings
from functools import partial
from pathlib import Path

import numpy as np

from convnet.data.augment import Integers, permutation
from convnet.data.making.batches import Batch, Sums, write_batch
from convnet.data.making.finish import write_index, write_meta, write_statistics
from convnet.data.making.options import Made, MakeOptions, Progress
from convnet.data.making.source import Source
from convnet.data.making.spool import SEGMENTS_FORMAT, Spool, fill, write_report
from convnet.data.making.work import Work
from convnet.data.shards import BAD_IMAGES, FORMAT
from convnet.errors import ConvnetError
from convnet.lock import locked


def make(source: Source, target: Path, options: MakeOptions, progress: Progress) -> Made:
    """Write data batches of all images of `source` into the folder `target`, as `shards` describes them.

    The images are read once, in the order in which they lie, and kept in a hidden folder of `target` as they will be
    stored; then they are put in random order and written. Until then this takes twice the room. Whatever ends the
    process, a later call with the same arguments goes on, and what it writes is the same to the byte; so it is for any
    number of workers. The memory needed does not grow with the source, but for names, labels and places of the images.

    progress: called in this thread, after each image. Images that cannot be used are left out and named in a report.

    Raises ConvnetError where the source is damaged or has more bad images than the options allow, where `target` lies
    in it or holds other things or another process works in it, and where it cannot be written.
    """
    _check_apart(source, target)
    plan = {"format": FORMAT, "segments": SEGMENTS_FORMAT, **source.identity, **options.lasting}
    try:
        target.mkdir(parents=True, exist_ok=True)
        with locked(target, "making data batches in this folder"), warnings.catch_warnings():
            # Of notes in images that are damaged, of transparency, and of large images.
            warnings.filterwarnings("ignore", module="PIL")
            work = Work(target, plan)
            made = _finished(source, fill(source, work, options, progress), work, options, progress)
            work.finish()
            return made
    except OSError as error:
        raise ConvnetError(
            f"{target}: data batches cannot be written: {error}; when this is mended, the same command goes on"
        ) from error


def _check_apart(source: Source, target: Path) -> None:
    """Raises ConvnetError where `target` would be a part of the source: another source, once it is begun."""
    if source.folder is not None and Path(os.path.realpath(target)).is_relative_to(source.folder.resolve()):
        raise ConvnetError(f"{target}: expected a folder outside {source.folder}, where the photographs are")


def _finished(source: Source, spool: Spool, work: Work, options: MakeOptions, progress: Progress) -> Made:
    """Write everything from the spool; batches.json last."""
    if not len(spool.sizes):
        first = f", of which the first is {': '.join(spool.bad[0])}" if spool.bad else ""
        raise ConvnetError(f"{source.name}: expected images, found {len(spool.bad)} that cannot be used{first}")
    batches = _batches(spool, options)
    total = Sums(options.size)
    write_index(work, spool, batches, _write_batches(batches, spool, work, total, options.threads, progress))
    write_statistics(work, batches, total)
    report = work.target / BAD_IMAGES
    report.unlink(missing_ok=True)  # of an earlier process that ended with it
    if spool.bad:
        write_report(work, spool.bad)
    write_meta(work, source, spool, batches, options)
    train, test = ([len(batch.cases) for batch in batches if batch.train is part] for part in (True, False))
    classes, bad = len(spool.label_names), len(spool.bad)
    empty = classes - len({label for labels in spool.labels for label in labels})
    return Made(work.target, train, test, classes, empty, bad, report if bad else None)


def _batches(spool: Spool, options: MakeOptions) -> list[Batch]:
    """The training cases, then the test cases, each in random order."""
    batches: list[Batch] = []
    for epoch, part in enumerate((~spool.test, spool.test)):  # another epoch, another order
        order = permutation(options.seed, epoch, np.flatnonzero(part))
        for start in range(0, len(order), options.batch_size):
            batches.append(Batch(len(batches) + 1, order[start : start + options.batch_size], train=not epoch))
    return batches


def _write_batches(
    batches: list[Batch], spool: Spool, work: Work, total: Sums, threads: int, progress: Progress
) -> list[Integers]:
    """Write the data batches, and add up the training images in `total`. Returns the offsets of each batch."""
    offsets: list[Integers] = []
    ends = np.cumsum([0, *(len(batch.cases) for batch in batches)]).tolist()
    for batch, done in zip(batches, ends, strict=False):
        tell = partial(_tell, progress, done, ends[-1])
        tell(0)
        offsets.append(write_batch(batch, spool, work, total, threads, tell))
    return offsets


def _tell(progress: Progress, before: int, total: int, cases: int) -> None:
    """Say how many cases of all batches are written."""
    progress("writing batches", before + cases, total)
