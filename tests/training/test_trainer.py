"""The training loop: what happens in which order, and what is reported."""

import time

import numpy as np
import pytest

from convnet.errors import ConvnetError
from convnet.training import trainer as happened
from convnet.training.checkpoint import Checkpoint, checkpoints, newest
from convnet.training.evaluate import evaluate

from .small import PARAMS, Place, files_of, finish, resume, stop_after


def kinds(events):
    return [type(event).__name__ for event in events]


def test_the_order_of_what_happens(tmp_path):
    place = Place(tmp_path)
    place.params.write_text(PARAMS.replace("dexp[base=0.05;tgtFactor=10;numSteps=3]", "0.05"))
    first, second = ["MinibatchDone"] * 3 + ["BatchDone"], ["MinibatchDone"] * 2 + ["BatchDone"]
    test = ["TestRunning"] * 2 + ["TestDone", "Saved"]
    assert kinds(finish(place.start(epochs=2, test_freq=2))) == (first + second + test) * 2
    assert kinds(finish(place.start(epochs=2, test_freq=3))) == first + second + first + test + second + test
    assert kinds(stop_after(place.start(), 2)) == ["MinibatchDone"] * 2 + ["Saved"]
    assert kinds(stop_after(place.start(), 3)) == [*first, "Saved"]


def test_what_is_reported(tmp_path):
    trainer = Place(tmp_path).start(epochs=1)
    events = finish(trainer)
    minibatches = [event for event in events if isinstance(event, happened.MinibatchDone)]
    assert [(event.epoch, event.batchnum, event.done, event.total) for event in minibatches] == [
        (1, 1, 8, 20), (1, 1, 16, 20), (1, 1, 20, 20), (1, 2, 8, 16), (1, 2, 16, 16),
    ]  # fmt: skip
    batches = [event for event in events if isinstance(event, happened.BatchDone)]
    assert [(event.epoch, event.batchnum, event.cases) for event in batches] == [(1, 1, 20), (1, 2, 16)]
    assert batches[0].costs == minibatches[2].costs, "the costs of a batch are those of all its cases"
    assert minibatches[0].costs != minibatches[1].costs
    assert all(0 <= event.waited <= event.seconds < 60 for event in batches)
    state = trainer.state
    assert [entry["costs"] for entry in state.train_history] == [event.costs for event in batches]
    tests = [event for event in events if isinstance(event, happened.TestDone)]
    assert [entry["costs"] for entry in state.test_history] == [event.costs for event in tests]
    assert [(event.epoch, event.batchnum, event.cases) for event in tests] == [(1, 1, 10), (1, 2, 10)]
    saved = [event.path for event in events if isinstance(event, happened.Saved)]
    assert saved == checkpoints(trainer.run)


def test_a_test_is_that_of_the_weights_saved_with_it(tmp_path):
    trainer = Place(tmp_path).uninterrupted()
    *_, last = evaluate(trainer.net, trainer.session.provider, trainer.test_range)
    assert last.averages() == trainer.state.test_history[-1]["costs"]


def test_the_best_is_the_first_with_the_lowest_error(tmp_path):
    trainer = Place(tmp_path, test=4).start(epochs=8, keep=100)
    tests = [event for event in finish(trainer) if isinstance(event, happened.TestDone)]
    errors = [event.costs["logprob"]["error"] for event in tests]
    assert [event.best for event in tests] == [
        error < min(errors[:index], default=np.inf) for index, error in enumerate(errors)
    ]
    assert errors.count(min(errors)) > 1, "no tie: nothing is shown about the first of equals"
    best = Checkpoint.load(trainer.run / trainer.state.best["checkpoint"]).state
    assert best.tests_done - 1 == errors.index(min(errors))


@pytest.mark.parametrize(("one", "ranges"), [(False, [[4, 5, 6]] * 4), (True, [[4], [5], [6], [4]])])
def test_test_one_takes_the_test_batches_in_turn(tmp_path, monkeypatch, one, ranges):
    asked = []

    def remember(net, provider, batch_range):
        asked.append(batch_range)
        return evaluate(net, provider, batch_range)

    monkeypatch.setattr(happened, "evaluate", remember)
    place = Place(tmp_path, test=27)
    trainer = place.start(batch_size=12, epochs=1, test_one=one)
    finish(trainer)
    finish(resume(trainer.run, epochs=2, train_range=[1]))
    assert asked == ranges


def test_training_learns(tmp_path):
    """The labels of the small data are random, so this is learning by heart."""
    params = PARAMS.replace("keep=0.6", "enable=false").replace("crop=8", "flip=false").replace("noise=0.1", "noise=0")
    costs = [entry["costs"]["logprob"]["cost"] for entry in Place(tmp_path, params).uninterrupted(
        epochs=40, test_freq=1000).state.train_history]  # fmt: skip
    assert np.mean(costs[-2:]) < 0.5 * np.mean(costs[:2])


def test_a_cost_that_is_no_number_ends_training_and_spoils_no_checkpoint(tmp_path):
    place = Place(tmp_path)
    trainer = place.start()
    stop_after(trainer, 6)
    params = tmp_path / "fast.cfg"
    params.write_text(PARAMS.replace("linear[base=0.05;tgtFactor=4]", "1e30"))
    before = checkpoints(trainer.run)
    with np.errstate(all="ignore"), pytest.raises(ConvnetError, match=r"^the cost of layer 'logprob' became (nan|inf)"):
        finish(resume(trainer.run, params=str(params)))
    assert checkpoints(trainer.run) == before != []
    assert all(np.isfinite(w).all() for w in Checkpoint.load(trainer.run).weights.values())


def test_a_run_that_fails_before_its_first_checkpoint_leaves_no_folder(tmp_path):
    place = Place(tmp_path, params=PARAMS.replace("linear[base=0.05;tgtFactor=4]", "1e30"))
    trainer = place.start()
    assert trainer.run.is_dir()
    with np.errstate(all="ignore"), pytest.raises(ConvnetError, match=r"too high; nothing was written$"):
        finish(trainer)
    assert not list(place.runs.iterdir())


@pytest.mark.parametrize(("given", "noted"), [
    ({}, False), ({"test_range": [2]}, True), ({"train_range": [1], "test_range": [2]}, False),
    ({"train_range": [1, 2, 3]}, True),
])  # fmt: skip
def test_testing_on_what_is_trained_on_is_noted(tmp_path, given, noted):
    notes = [str(note) for note in Place(tmp_path).start(**given).session.files.report.notes]
    assert any(note.startswith("test-range: some of its data batches are trained on") for note in notes) == noted


def test_an_error_of_the_provider_ends_training_with_its_message(tmp_path, monkeypatch):
    trainer = Place(tmp_path).start()
    provider = trainer.session.provider
    read = provider.get_batch

    def fail(batchnum, epoch, **options):
        if (epoch, batchnum) == (2, 1):
            raise ConvnetError("image 7 is broken")
        return read(batchnum, epoch, **options)

    monkeypatch.setattr(provider, "get_batch", fail)
    with pytest.raises(ConvnetError, match=r"^image 7 is broken$"):
        finish(trainer)
    assert Checkpoint.load(trainer.run).state.epoch == 2, "what was done before is saved"


class Feed:
    """Stands before a provider: writes down what is opened and closed, with a pause before each minibatch.

    Like a provider that decodes, it writes a minibatch over the one before when the next is asked for.
    """

    def __init__(self, trainer, monkeypatch, pause=0.0):
        self.provider, self.pause = trainer.session.provider, pause
        self.open, self.closed, self.given = self.provider.open_batch, 0, 0
        self.asked, self.opened = [], []  # training batches: epoch, number, where to begin; all batches
        monkeypatch.setattr(self.provider, "open_batch", self.open_batch)
        monkeypatch.setattr(self.provider, "close", self.close)

    def open_batch(self, batchnum, epoch, mini, **options):
        if options["train"]:
            self.asked.append((epoch, batchnum, options["first"]))
        self.opened.append(Opened(self, self.open(batchnum, epoch, mini, **options)))
        return self.opened[-1]

    def close(self):
        assert all(batch.closed for batch in self.opened), "the provider is closed before a batch"
        self.closed += 1


class Opened:
    """A batch of `Feed`."""

    def __init__(self, feed, minibatches):
        self.feed, self.minibatches, self.closed, self.held = feed, minibatches, 0, []

    def __iter__(self):
        return self

    def __next__(self):
        time.sleep(self.feed.pause)
        for matrix in self.held:
            matrix[:] = 1e9
        self.held = [np.array(matrix) for matrix in next(self.minibatches)]
        self.feed.given += 1
        return list(self.held)

    def close(self):
        self.closed += 1


def test_the_time_that_minibatches_are_waited_for(tmp_path, monkeypatch):
    trainer = Place(tmp_path).start(epochs=1)
    Feed(trainer, monkeypatch, pause=0.03)
    batches = [event for event in finish(trainer) if isinstance(event, happened.BatchDone)]
    for event, asked in zip(batches, (4, 3), strict=True):  # each minibatch, and once to hear that there are no more
        assert asked * 0.03 <= event.waited < event.seconds


def test_minibatches_may_be_written_over(tmp_path, monkeypatch):
    place = Place(tmp_path)
    trainer = place.start()
    Feed(trainer, monkeypatch)
    finish(trainer)
    assert files_of(newest(trainer.run)) == files_of(newest(place.uninterrupted().run))


@pytest.mark.parametrize("stop", [2, 3, 15])
def test_all_that_was_opened_is_closed_when_training_stops(tmp_path, monkeypatch, stop):
    """In a batch, at the end of one, at the end of all; then goes on where it stopped in the batch."""
    trainer = Place(tmp_path).start()
    feed = Feed(trainer, monkeypatch)
    stop_after(trainer, stop)
    assert feed.closed == 1
    assert feed.given == stop + (10 if stop == 15 else 0), "a minibatch was asked for after the stop"
    assert feed.asked[0] == (1, 1, 0)
    trainer = resume(trainer.run, epochs=4)
    feed = Feed(trainer, monkeypatch)
    finish(trainer)
    assert feed.closed == 1
    assert feed.asked[0] == {2: (1, 1, 16), 3: (1, 2, 0), 15: (4, 1, 0)}[stop]


@pytest.mark.parametrize("moment", ["MinibatchDone", "TestRunning", "Saved"])
@pytest.mark.parametrize("how", [KeyboardInterrupt, GeneratorExit])
def test_all_is_closed_when_training_is_left(tmp_path, monkeypatch, moment, how):
    """The second Ctrl-C, and a caller that wants no more."""
    trainer = Place(tmp_path).start()
    feed = Feed(trainer, monkeypatch)
    events = trainer.run_training()
    while type(next(events)).__name__ != moment:
        pass
    if how is GeneratorExit:
        events.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            events.throw(how)
    assert feed.closed == 1


def test_all_is_closed_after_an_error_while_minibatches_are_read(tmp_path, monkeypatch):
    trainer = Place(tmp_path).start()
    feed = Feed(trainer, monkeypatch)

    def broken(opened, read=Opened.__next__):
        if feed.given == 4:
            raise ConvnetError("a process that decodes has ended")
        return read(opened)

    monkeypatch.setattr(Opened, "__next__", broken)
    with pytest.raises(ConvnetError, match="a process that decodes has ended"):
        finish(trainer)
    assert feed.closed == 1
