"""The order of data batches, in the originals' words."""

import threading

import numpy as np
import pytest

from convnet.errors import ConvnetError
from convnet.training.batches import BatchManager, checked_range


class Provider:
    """Gives batches that say what was asked for, and writes down the questions."""

    def __init__(self, fail=(), slow=None):
        self.asked, self.threads, self.fail, self.slow = [], [], set(fail), slow or {}

    def get_batch(self, batchnum, epoch, *, train, shuffle=False, batch_range=()):
        self.asked.append((epoch, batchnum))
        self.threads.append(threading.current_thread())
        if batchnum in self.slow:
            assert self.slow[batchnum].wait(5), "something waited for this batch"
        if (epoch, batchnum) in self.fail:
            raise ConvnetError(f"batch {batchnum} of epoch {epoch} cannot be read")
        return [np.array([[epoch, batchnum, train, shuffle, *batch_range]], np.float32)]


def all_batches(manager):
    """Every batch up to the end, as a training loop takes them; whatever was still being prepared is ready then."""
    found = []
    while not manager.finished:
        batch = manager.get_next_batch()
        found.append((batch.epoch, batch.batchnum))
        assert batch.data[0][0, :2].tolist() == [batch.epoch, batch.batchnum]
    manager._worker.shutdown(wait=True)
    return found


@pytest.mark.parametrize("batch_range", [[1, 2, 3], [4], [3, 1, 7]])
def test_order(batch_range):
    provider = Provider()
    manager = BatchManager(provider, batch_range, epochs=3)
    expected = [(epoch, number) for epoch in (1, 2, 3) for number in batch_range]
    assert all_batches(manager) == expected
    assert provider.asked == expected, "a batch was asked for twice, or one after the last epoch"
    assert (manager.epoch, manager.batch_idx) == (4, 0)


def test_the_current_batch_is_given_and_then_the_next_is_current():
    manager = BatchManager(Provider(), [5, 6], epochs=2)
    assert (manager.epoch, manager.batch_idx, manager.batchnum) == (1, 0, 5)
    first = manager.get_next_batch()
    assert (first.epoch, first.batchnum) == (1, 5)
    assert (manager.epoch, manager.batch_idx, manager.batchnum) == (1, 1, 6)
    manager.advance_batch()
    assert (manager.epoch, manager.batch_idx, manager.batchnum) == (2, 0, 5)
    again = manager.get_next_batch()
    assert (again.epoch, again.batchnum) == (2, 5)


def test_from_the_middle():
    provider = Provider()
    manager = BatchManager(provider, [1, 2, 3], epochs=2, epoch=1, batch_idx=2)
    assert all_batches(manager) == [(1, 3), (2, 1), (2, 2), (2, 3)]
    assert provider.asked[0] == (1, 3)


def test_what_is_asked_of_the_provider():
    manager = BatchManager(Provider(), [3, 4], epochs=1, shuffle=True)
    assert manager.get_next_batch().data[0].tolist() == [[1, 3, 1, 1, 3, 4]]
    manager = BatchManager(Provider(), [3, 4], epochs=1, train=False)
    assert manager.get_next_batch().data[0].tolist() == [[1, 3, 0, 0, 3, 4]]


def test_the_next_batch_is_prepared_while_the_present_one_is_used():
    provider = Provider()
    manager = BatchManager(provider, [1, 2], epochs=1)
    manager.get_next_batch()
    manager.get_next_batch()
    here = threading.current_thread()
    assert provider.asked == [(1, 1), (1, 2)]
    assert [thread is here for thread in provider.threads] == [True, False]


def test_the_present_batch_does_not_wait_for_the_next():
    used = threading.Event()
    manager = BatchManager(Provider(slow={2: used}), [1, 2], epochs=1)
    assert manager.get_next_batch().batchnum == 1  # while batch 2 is still being read
    used.set()
    assert manager.get_next_batch().batchnum == 2


def test_an_error_while_preparing_surfaces_when_its_turn_comes():
    provider = Provider(fail=[(1, 2)])
    manager = BatchManager(provider, [1, 2, 3], epochs=1)
    assert manager.get_next_batch().batchnum == 1
    with pytest.raises(ConvnetError, match="batch 2 of epoch 1 cannot be read"):
        manager.get_next_batch()


def test_an_error_in_the_first_batch():
    with pytest.raises(ConvnetError, match="batch 1 of epoch 1 cannot be read"):
        BatchManager(Provider(fail=[(1, 1)]), [1], epochs=1).get_next_batch()


@pytest.mark.parametrize(
    ("frequency", "due"), [(None, [3, 6]), (1, [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (4, [4, 6]), (6, [6]), (100, [6])]
)
def test_when_to_test(frequency, due):
    """Every so many batches since the beginning of training, across epochs, and after the last one."""
    manager, found = BatchManager(Provider(), [1, 2, 3], epochs=2, testing_freq=frequency), []
    while not manager.finished:
        manager.get_next_batch()
        if manager.test_is_due:
            found.append(manager.batches_done)
    assert found == due


def test_progress():
    """(batchesDone - 1) / (epochs * batches), batchesDone counting the present batch as the originals do."""
    batch_range, epochs = [2, 3, 5, 7], 3
    manager = BatchManager(Provider(), batch_range, epochs=epochs)
    for epoch in range(1, epochs + 1):
        for index in range(4):
            originals = len(batch_range) * (epoch - 1) + index + 1
            assert manager.progress == (originals - 1) / (epochs * len(batch_range))
            manager.get_next_batch()
    assert manager.progress == 1.0
    assert BatchManager(Provider(), batch_range, epochs=1, epoch=3).progress == 1.0, "progress must not exceed 1"


def test_ranges():
    provider = Provider()
    provider.train_batches, provider.test_batches = [1, 2, 3, 4, 5], [6]
    assert checked_range(None, [1, 2, 3, 4, 5], provider, "train-range") == [1, 2, 3, 4, 5]
    assert checked_range([3, 1], [1, 2, 3, 4, 5], provider, "train-range") == [3, 1]
    assert checked_range([5], [6], provider, "test-range") == [5], "any batch can be tested on"
    with pytest.raises(ConvnetError, match=r"^--train-range: expected data batches from 1 to 6, found 7$"):
        checked_range([5, 6, 7], [1, 2, 3, 4, 5], provider, "train-range")
    with pytest.raises(ConvnetError, match="--test-range: the data has no batches"):
        checked_range(None, [], provider, "test-range")
