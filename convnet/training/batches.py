"""BatchManager: which data batch comes next, in the originals' words."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from convnet.data.provider import Batch, DataProvider
from convnet.errors import ConvnetError


class DataBatch(NamedTuple):
    """A data batch and where it belongs."""

    epoch: int
    batchnum: int
    data: Batch


class BatchManager:
    """Goes through `batch_range` again and again; each time is an epoch.

    `epoch` (from 1) and `batch_idx` (from 0, an index into `batch_range`) say which batch is the current one.
    `testing_freq`: every that many batches it is time to sync, test, print and checkpoint. While one batch is used the
    next is prepared in a thread of its own, up to the last one of epoch `epochs`.
    """

    def __init__(
        self, provider: DataProvider, batch_range: Sequence[int], *, epochs: int, testing_freq: int | None = None,
        shuffle: bool = False, epoch: int = 1, batch_idx: int = 0, train: bool = True,
    ) -> None:  # fmt: skip
        self.provider, self.batch_range, self.epochs = provider, list(batch_range), epochs
        self.testing_freq = testing_freq or len(self.batch_range)
        self.shuffle, self.train = shuffle, train
        self.epoch, self.batch_idx = epoch, batch_idx
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next: tuple[tuple[int, int], Future[Batch]] | None = None

    @property
    def batchnum(self) -> int:
        """The number of the current batch."""
        return self.batch_range[self.batch_idx]

    @property
    def batches_done(self) -> int:
        """Batches that `get_next_batch` has given since the beginning of training."""
        return len(self.batch_range) * (self.epoch - 1) + self.batch_idx

    @property
    def finished(self) -> bool:
        """Whether the batches of all epochs have been given (the originals train one batch more)."""
        return self.epoch > self.epochs

    @property
    def progress(self) -> float:
        """The share of training done before the current batch, 0..1; what learning rates depend on."""
        return min(1.0, self.batches_done / (self.epochs * len(self.batch_range)))

    @property
    def test_is_due(self) -> bool:
        """Whether to sync, test, print and checkpoint once the batch given last is done."""
        done = self.batches_done
        return done % self.testing_freq == 0 or done == self.epochs * len(self.batch_range)

    def get_next_batch(self) -> DataBatch:
        """Give the current batch, then advance; the one after it is prepared meanwhile."""
        key = (self.epoch, self.batch_idx)
        ready = self._next is not None and self._next[0] == key
        data = self._next[1].result() if ready and self._next else self._load(*key)
        following = self._following()
        if following[0] <= self.epochs:
            self._next = (following, self._worker.submit(self._load, *following))
        batch = DataBatch(self.epoch, self.batchnum, data)
        self.advance_batch()
        return batch

    def advance_batch(self) -> None:
        """Make the next batch the current one; after the last of the range a new epoch begins."""
        self.epoch, self.batch_idx = self._following()

    def _following(self) -> tuple[int, int]:
        wraps = self.batch_idx + 1 == len(self.batch_range)
        return (self.epoch + 1, 0) if wraps else (self.epoch, self.batch_idx + 1)

    def _load(self, epoch: int, batch_idx: int) -> Batch:
        return self.provider.get_batch(
            self.batch_range[batch_idx], epoch, train=self.train, shuffle=self.shuffle, batch_range=self.batch_range
        )


def checked_range(
    asked: Sequence[int] | None, usual: Sequence[int], provider: DataProvider, option: str
) -> list[int]:
    """The batches asked for, of those that the data has, or the usual ones.

    Raises:
        ConvnetError: if one of them does not exist.
    """
    present = [*provider.train_batches, *provider.test_batches]
    missing = [number for number in asked or [] if number not in present]
    if missing:
        raise ConvnetError(f"--{option}: expected data batches from {present[0]} to {present[-1]}, found {missing[0]}")
    if not (asked or usual):
        raise ConvnetError(f"--{option}: the data has no batches for this; the option can name others")
    return list(asked or usual)
