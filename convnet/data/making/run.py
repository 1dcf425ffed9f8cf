"""Photographs become data batches."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import numpy as np

from convnet.data.augment import permutation
from convnet.data.making.batches import Batch, Written, write_batch
from convnet.data.making.finish import write_index, write_meta, write_statistics
from convnet.data.making.options import Made, MakeOptions, Progress
from convnet.data.making.source import Source
from convnet.data.making.spool import Spool, fill, write_report
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

    Raises ConvnetError where the source is damaged or has more bad images than the options allow, where `target` holds
    other things or another process works in it, and where it cannot be written.
    """
    plan = {"format": FORMAT, **source.identity, **options.lasting}
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


def _finished(source: Source, spool: Spool, work: Work, options: MakeOptions, progress: Progress) -> Made:
    """Write everything from the spool; batches.json last."""
    if not len(spool.sizes):
        first = f", of which the first is {': '.join(spool.bad[0])}" if spool.bad else ""
        raise ConvnetError(f"{source.name}: expected images, found {len(spool.bad)} that cannot be used{first}")
    batches = _batches(spool, options)
    written = _write_batches(batches, spool, work, options, progress)
    write_index(work, spool, batches, written)
    write_statistics(work, batches, written, options.size)
    report = work.target / BAD_IMAGES
    report.unlink(missing_ok=True)  # of an earlier process that ended with it
    if spool.bad:
        write_report(work, spool.bad)
    write_meta(work, source, spool, batches, options)
    train, test = ([len(batch.cases) for batch in batches if batch.train is part] for part in (True, False))
    bad = len(spool.bad)
    return Made(work.target, train, test, len(source.label_names), bad, report if bad else None)


def _batches(spool: Spool, options: MakeOptions) -> list[Batch]:
    """The training cases, then the test cases, each in random order."""
    batches: list[Batch] = []
    for epoch, part in enumerate((~spool.test, spool.test)):  # another epoch, another order
        order = permutation(options.seed, epoch, np.flatnonzero(part))
        for start in range(0, len(order), options.batch_size):
            batches.append(Batch(len(batches) + 1, order[start : start + options.batch_size], train=not epoch))
    return batches


def _write_batches(
    batches: list[Batch], spool: Spool, work: Work, options: MakeOptions, progress: Progress
) -> list[Written]:
    """Write the data batches."""
    written: list[Written] = []
    ends = np.cumsum([0, *(len(batch.cases) for batch in batches)]).tolist()
    for batch, done in zip(batches, ends, strict=False):
        tell = partial(_tell, progress, done, ends[-1])
        tell(0)
        written.append(write_batch(batch, spool, work, options.size, options.threads, tell))
    return written


def _tell(progress: Progress, before: int, total: int, cases: int) -> None:
    """Say how many cases of all batches are written."""
    progress("writing batches", before + cases, total)
