"""BatchManager: which data batch comes next, in the originals' words."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import NamedTuple

from convnet.data.provider import DataProvider
from convnet.errors import ConvnetError
from convnet.pixels import Minibatch
from convnet.training.ranges import TrainRange


class DataError(ConvnetError):
    """A data batch cannot be opened or read on; the message is the provider's."""


@contextmanager
def _by_provider() -> Iterator[None]:
    """What goes wrong here is the data's fault."""
    try:
        yield
    except ConvnetError as error:
        raise DataError(str(error)) from error


class _Minibatches(Iterator[Minibatch]):
    """The minibatches that a provider gives; raises DataError where it fails."""

    def __init__(self, given: Iterator[Minibatch]) -> None:
        self._given = given

    def __next__(self) -> Minibatch:
        """The next one."""
        with _by_provider():
            return next(self._given)

    def close(self) -> None:
        """End them, if they hold anything: those not asked for yet are not wanted any more."""
        close = getattr(self._given, "close", None)  # generators have it, other iterators need not
        if close is not None:
            close()


class DataBatch(NamedTuple):
    """An open data batch: where it belongs, its number of cases, and its minibatches, each of which comes once.

    Asking for a minibatch raises DataError where the provider fails.
    """

    epoch: int
    batchnum: int
    cases: int
    minibatches: _Minibatches

    def close(self) -> None:
        """End the minibatches: those not asked for yet are not wanted any more."""
        self.minibatches.close()


class BatchManager:
    """Goes through the data batches of a range again and again; each time is an epoch.

    `epoch` (from 1) and `batch_idx` (from 0, an index into the epoch's range) say which batch is the current one.
    Batches come in minibatches of `mini` cases, the current one from case `first` on. `testing_freq`: every that many
    batches it is time to sync, test, print and checkpoint; without, at the end of every epoch. While one batch is used
    the next is opened in a thread of its own, up to the last one of epoch `epochs`. `multiview`: as in
    DataProvider.open_batch.
    """

    def __init__(
        self, provider: DataProvider, batch_range: TrainRange, *, mini: int, epochs: int,
        testing_freq: int | None = None, shuffle: bool = False, epoch: int = 1, batch_idx: int = 0, first: int = 0,
        train: bool = True, multiview: bool = False,
    ) -> None:  # fmt: skip
        self.provider, self._range, self.mini, self.epochs = provider, batch_range, mini, epochs
        self.testing_freq = testing_freq
        self.shuffle, self.train, self.multiview = shuffle, train, multiview
        self.epoch, self.batch_idx = epoch, batch_idx
        self._first = first
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._opening: dict[tuple[int, int], Future[DataBatch]] = {}

    @property
    def batch_range(self) -> list[int]:
        """The batches of the current epoch."""
        return self._range.at(self.epoch)

    @property
    def batchnum(self) -> int:
        """The number of the current batch."""
        return self.batch_range[self.batch_idx]

    @property
    def batches_done(self) -> int:
        """Batches that `get_next_batch` has given since the beginning of training."""
        return self._range.before(self.epoch) + self.batch_idx

    @property
    def finished(self) -> bool:
        """Whether the batches of all epochs have been given (the originals train one batch more)."""
        return self.epoch > self.epochs

    @property
    def progress(self) -> float:
        """The share of training done before the current batch, 0..1; what learning rates depend on."""
        return min(1.0, self.batches_done / self._range.before(self.epochs + 1))

    @property
    def test_is_due(self) -> bool:
        """Whether to sync, test, print and checkpoint once the batch given last is done."""
        done, frequency = self.batches_done, self.testing_freq
        ended = self.batch_idx == 0 if frequency is None else done % frequency == 0
        return ended or done == self._range.before(self.epochs + 1)

    def get_next_batch(self) -> DataBatch:
        """Give the current batch, then advance; the one after it is opened meanwhile. The caller closes the batch.

        Raises DataError where the provider cannot open it.
        """
        current = self.epoch, self.batch_idx
        opening = self._opening.pop(current, None)
        batch = opening.result() if opening else self._open(*current, self._first)
        self.advance_batch()
        if not self.finished:
            following = self.epoch, self.batch_idx
            self._opening[following] = self._worker.submit(self._open, *following)
        return batch

    def advance_batch(self) -> None:
        """Make the next batch the current one; after the last of the range a new epoch begins."""
        wraps = self.batch_idx + 1 == len(self.batch_range)
        self.epoch, self.batch_idx = (self.epoch + 1, 0) if wraps else (self.epoch, self.batch_idx + 1)
        self._first = 0

    def close(self) -> None:
        """Close what was opened for later; no batch is given afterwards."""
        self._worker.shutdown(cancel_futures=True)
        for opening in self._opening.values():
            if not opening.cancelled() and opening.exception() is None:
                opening.result().close()
        self._opening.clear()

    def _open(self, epoch: int, batch_idx: int, first: int = 0) -> DataBatch:
        batch_range = self._range.at(epoch)
        number = batch_range[batch_idx]
        with _by_provider():
            minibatches = self.provider.open_batch(
                number, epoch, self.mini, train=self.train, shuffle=self.shuffle, batch_range=batch_range, first=first,
                multiview=self.multiview,
            )  # fmt: skip
            return DataBatch(epoch, number, self.provider.cases(number), _Minibatches(minibatches))


def batches_to_test(
    provider: DataProvider, batch_range: Sequence[int], mini: int, *, multiview: bool = False
) -> Generator[DataBatch, None, None]:
    """Each batch of the range once, as in testing, open until the next one is asked for."""
    every = TrainRange(list(batch_range), list(batch_range))
    manager = BatchManager(provider, every, mini=mini, epochs=1, train=False, multiview=multiview)
    with closing(manager):
        while not manager.finished:
            with closing(manager.get_next_batch()) as batch:
                yield batch

