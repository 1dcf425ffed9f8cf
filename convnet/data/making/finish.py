"""What is written beside the data batches when all of them are there."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np

from convnet.data.augment import Array, Integers
from convnet.data.making.batches import Batch, Sums
from convnet.data.making.options import MakeOptions
from convnet.data.making.source import Source
from convnet.data.making.spool import Spool
from convnet.data.making.work import Work
from convnet.data.shards import FORMAT, INDEX, META, STATISTICS


def write_index(work: Work, spool: Spool, batches: Sequence[Batch], offsets: Sequence[Integers]) -> None:
    """Where the JPEGs of all batches lie, how large they are, and their labels. offsets: of each batch."""
    order = np.concatenate([batch.cases for batch in batches])
    labels = [spool.labels[case] for case in order]
    _put_arrays(
        work,
        INDEX,
        offsets=np.concatenate(offsets),
        sizes=spool.sizes[order],
        shapes=spool.shapes[order].astype(np.int32),
        labels=np.array([label for case in labels for label in case], np.int32),
        label_ends=np.cumsum([len(case) for case in labels], dtype=np.int64),
    )


def write_statistics(work: Work, batches: Sequence[Batch], total: Sums) -> None:
    """The mean image of the training cases and the covariance of their colours; zeros where there are none."""
    cases = max(1, sum(len(batch.cases) for batch in batches if batch.train))
    count = cases * total.size**2
    mean = total.pixels.sum(axis=(0, 1)) / count
    covariance = total.products / count - np.outer(mean, mean)
    _put_arrays(work, STATISTICS, mean=(total.pixels / cases).astype(np.float32), covariance=covariance)


def write_meta(work: Work, source: Source, spool: Spool, batches: Sequence[Batch], options: MakeOptions) -> None:
    """batches.json, which says that all is there."""
    sizes = [[len(batch.cases) for batch in batches if batch.train is train] for train in (True, False)]
    counts = [_counts(spool, part, len(spool.label_names)) for part in (~spool.test, spool.test)]
    values = {
        "format": FORMAT,
        "description": f"photographs of {source.name}",
        "size": options.size,
        "square": options.square,
        "quality": options.quality,
        "seed": options.seed,
        "label_names": spool.label_names,
        "train": sizes[0],
        "test": sizes[1],
        "class_counts": {"train": counts[0], "test": counts[1]},
        "several_labels": any(len(labels) != 1 for labels in spool.labels),
        "bad": len(spool.bad),
        "source": source.name,
    }
    work.put(work.target / META, (json.dumps(values, indent=1) + "\n").encode())


def _counts(spool: Spool, part: Array, classes: int) -> list[int]:
    """How many cases of a set have each label."""
    labels = [label for case in np.flatnonzero(part) for label in spool.labels[case]]
    counts: list[int] = np.bincount(np.array(labels, np.int64), minlength=classes).tolist()
    return counts


def _put_arrays(work: Work, name: str, **arrays: Array) -> None:
    """Write a .npz file."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    work.put(work.target / name, stream.getvalue())
