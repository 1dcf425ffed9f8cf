"""The order of data batches, in the originals' words."""

import threading

import numpy as np
import pytest

from convnet.config.report import Report
from convnet.errors import ConvnetError
from convnet.training import batches
from convnet.training.batches import DataBatch, _Minibatches, batches_to_test
from convnet.training.ranges import TrainRange, checked_range

CASES = 20


def BatchManager(provider, batch_range, mini=8, **values):
    """A manager of the same range in all epochs, unless it is a TrainRange."""
    every = batch_range if isinstance(batch_range, TrainRange) else TrainRange(batch_range, batch_range)
    return batches.BatchManager(provider, every, mini=mini, **values)



class Minibatches:
    """The minibatches of an open batch, with which it is written down that they are closed."""

    def __init__(self, values, sizes, close):
        self.left, self.close = [[np.array([values] * size, np.float32)] for size in sizes], close

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop(0)


class Provider:
    """Opens batches that say what was asked for, and writes down the questions and what is closed."""

    def __init__(self, fail=(), slow=None):
        self.asked, self.threads, self.fail, self.slow, self.closed = [], [], set(fail), slow or {}, []

    def cases(self, batchnum):
        return CASES + batchnum

    def open_batch(
        self, batchnum, epoch, mini, *, train, shuffle=False, batch_range=(), first=0, multiview=False
    ):  # fmt: skip
        self.asked.append((epoch, batchnum))
        self.threads.append(threading.current_thread())
        if batchnum in self.slow:
            assert self.slow[batchnum].wait(5), "something waited for this batch"
        if (epoch, batchnum) in self.fail:
            raise ConvnetError(f"batch {batchnum} of epoch {epoch} cannot be read")
        sizes = [min(mini, CASES + batchnum - start) for start in range(first, CASES + batchnum, mini)]
        values = [epoch, batchnum, train, shuffle, multiview, *batch_range]
        return Minibatches(values, sizes, lambda: self.closed.append((epoch, batchnum)))


def all_batches(manager):
    """Every batch up to the end, as a training loop takes them; whatever was still being prepared is ready then."""
    found = []
    while not manager.finished:
        batch = manager.get_next_batch()
        found.append((batch.epoch, batch.batchnum))
        assert said(batch)[:2] == [batch.epoch, batch.batchnum]
    manager.close()
    return found


def said(batch):
    """What was asked of the provider for a batch, by its next minibatch."""
    return next(batch.minibatches)[0][0].tolist()


def sizes(batch):
    """The sizes of the minibatches that are left."""
    return [len(data) for (data,) in batch.minibatches]


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
    """Epoch, number, train, shuffle, multiview, range."""
    manager = BatchManager(Provider(), [3, 4], epochs=1, shuffle=True)
    assert said(manager.get_next_batch()) == [1, 3, 1, 1, 0, 3, 4]
    assert said(manager.get_next_batch()) == [1, 4, 1, 1, 0, 3, 4]
    manager = BatchManager(Provider(), [3, 4], epochs=1, train=False, multiview=True)
    assert said(manager.get_next_batch()) == [1, 3, 0, 0, 1, 3, 4]


@pytest.mark.parametrize(("mini", "first", "expected"), [
    (8, 0, [[8, 8, 6], [8, 8, 7]]), (8, 16, [[6], [8, 8, 7]]), (5, 8, [[5, 5, 4], [5, 5, 5, 5, 3]]),
    (30, 22, [[], [23]]),
])  # fmt: skip
def test_minibatches_and_where_the_first_batch_begins(mini, first, expected):
    """Only the first: those after it are whole."""
    manager = BatchManager(Provider(), [2, 3], mini=mini, epochs=2, first=first)
    found = [manager.get_next_batch() for _ in range(4)]
    whole = [[len(part) for part in np.split(np.zeros(cases), range(mini, cases, mini))] for cases in (22, 23)]
    assert [sizes(batch) for batch in found] == [*expected, *whole]
    assert [batch.cases for batch in found] == [22, 23, 22, 23]


def test_a_batch_that_is_passed_over_takes_the_beginning_with_it():
    manager = BatchManager(Provider(), [2, 3], epochs=1, first=8)
    manager.advance_batch()
    assert sizes(manager.get_next_batch()) == [8, 8, 7]


def test_what_was_opened_for_later_is_closed():
    provider = Provider()
    manager = BatchManager(provider, [1, 2, 3], epochs=1)
    batch = manager.get_next_batch()
    manager.close()
    assert provider.closed == [(1, 2)], "the batch that is used is for its user to close"
    batch.close()
    assert provider.closed == [(1, 2), (1, 1)]


def test_closing_waits_for_what_is_being_opened_and_closes_that_too():
    go = threading.Event()
    provider = Provider(slow={2: go})
    manager = BatchManager(provider, [1, 2], epochs=1)
    manager.get_next_batch()
    threading.Timer(0.05, go.set).start()
    manager.close()
    assert provider.closed == [(1, 2)]


def test_closing_passes_over_an_error_in_what_nobody_wants_any_more():
    manager = BatchManager(Provider(fail=[(1, 2)]), [1, 2], epochs=1)
    manager.get_next_batch()
    manager.close()


def test_minibatches_without_an_end_to_their_own_are_closed_too():
    DataBatch(1, 1, 0, _Minibatches(iter([]))).close()


def test_batches_to_test():
    """As in testing, each once; one is closed when the next is asked for, and all when the iterator is."""
    provider = Provider()
    opened = batches_to_test(provider, [4, 2], 8, multiview=True)
    found = [(said(batch), sizes(batch), list(provider.closed)) for batch in opened]
    assert found == [([1, 4, 0, 0, 1, 4, 2], [8, 8], []), ([1, 2, 0, 0, 1, 4, 2], [8, 6], [(1, 4)])]
    assert provider.closed == [(1, 4), (1, 2)]
    provider = Provider()
    opened = batches_to_test(provider, [4, 2, 5], 8)
    next(opened)
    opened.close()
    assert sorted(provider.closed) == [(1, 2), (1, 4)], "the one in use and the one opened for later"
    assert (1, 5) not in provider.asked


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


LATE = TrainRange([1, 2, 3], [1, 2, 3, 4], late_epoch=3)


def test_batches_that_are_added_late():
    """Order, progress and tests over two epochs of three batches and two of four."""
    manager, found, done, tested = BatchManager(Provider(), LATE, epochs=4), [], [], []
    while not manager.finished:
        assert manager.batches_done == len(found)
        done.append(manager.progress)
        batch = manager.get_next_batch()
        found.append((batch.epoch, batch.batchnum))
        tested += [found[-1]] if manager.test_is_due else []
    assert found == [(epoch, n) for epoch, last in ((1, 3), (2, 3), (3, 4), (4, 4)) for n in range(1, last + 1)]
    assert done == [number / 14 for number in range(14)]
    assert tested == [(1, 3), (2, 3), (3, 4), (4, 4)]


def test_late_batches_are_shuffled_among_themselves():
    provider = Provider()
    manager = BatchManager(provider, LATE, epochs=3, epoch=2, batch_idx=2, shuffle=True)
    assert [list(next(manager.get_next_batch().minibatches)[0][0][5:]) for _ in range(2)] == [[1, 2, 3], [1, 2, 3, 4]]


NO_RANGES = {"train-range": None, "late-range": None, "late-epoch": None}


def data_of_six():
    provider = Provider()
    provider.train_batches, provider.test_batches = [1, 2, 3, 4, 5], [6]
    return provider


@pytest.mark.parametrize(
    ("late", "message"),
    [
        ({"late-range": [1, 2]}, "--late-epoch: expected, because there is a late-range"),
        ({"late-epoch": 3}, "--late-range: expected, because there is a late-epoch"),
        ({"late-range": [1, 9], "late-epoch": 3}, "--late-range: expected data batches from 1 to 6, found 9"),
    ],
)
def test_late_batches_that_cannot_be(late, message):
    with pytest.raises(ConvnetError, match=message):
        TrainRange.of({**NO_RANGES, **late}, {"late-range"}, data_of_six(), Report())


def test_ranges_of_a_train_section_that_the_data_has():
    report = Report()
    options = {"train-range": [2], "late-range": [1, 2], "late-epoch": 9}
    found = TrainRange.of(options, (), data_of_six(), report)
    assert (found, report.notes) == (TrainRange([2], [1, 2], 9), [])


def test_ranges_of_a_train_section_for_other_data():
    options, report = {"train-range": [1, 2, 3, 4, 7], "late-range": [1, 2], "late-epoch": 9}, Report()
    assert TrainRange.of(options, (), data_of_six(), report) == TrainRange([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    (note,) = report.notes
    assert note.text == (
        "--train-range: expected data batches from 1 to 6, found 7; the [train] section's train-range and late-range "
        "are not used"
    )


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
