"""A resumed run equals the uninterrupted one bit for bit: weights, increments, histories."""

import json
import os
import signal

import numpy as np
import pytest

from convnet.backends import DeviceOptions
from convnet.data.image_batches import ImageProvider
from convnet.errors import ConvnetError
from convnet.training import session
from convnet.training import trainer as happened
from convnet.training.checkpoint import STATE, WEIGHTS, Checkpoint, newest
from convnet.training.evaluate import begun
from convnet.training.testing import test_checkpoint as run_test
from tests.data.stored_images import stored

from .small import MINIBATCHES, Place, files_of, finish, resume, stop_after


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Where an uninterrupted run has ended, and its newest checkpoint."""
    place = Place(tmp_path_factory.mktemp("whole"))
    trainer = place.uninterrupted()
    return place, newest(trainer.run)


def test_an_uninterrupted_run_is_what_the_others_are_compared_with(whole):
    state = Checkpoint.load(whole[1]).state
    assert state.minibatches_done == MINIBATCHES
    assert [entry["epoch"] for entry in state.train_history] == [1, 1, 2, 2, 3, 3]
    assert [entry["batchnum"] for entry in state.train_history] == [1, 2, 1, 2, 1, 2]
    assert [entry["cases"] for entry in state.train_history] == [20, 16] * 3
    assert [entry["cases"] for entry in state.test_history] == [10] * 6
    assert len({entry["costs"]["logprob"]["cost"] for entry in state.train_history}) == 6


def test_everything_that_draws_numbers_is_in_play(whole, tmp_path):
    """Otherwise the comparisons of this file would show less than they say."""
    place, checkpoint = whole
    for option, value in {"shuffle": False, "flip": False, "noise": 0.0, "seed": 8}.items():
        other = place.uninterrupted(**{option: value})
        assert files_of(newest(other.run))[WEIGHTS] != files_of(checkpoint)[WEIGHTS], option
    place = Place(tmp_path)
    place.params.write_text(place.params.read_text().replace("keep=0.6", "enable=false"))
    other = place.uninterrupted()
    assert files_of(newest(other.run))[WEIGHTS] != files_of(checkpoint)[WEIGHTS]


def test_the_same_run_again_gives_the_same_files(whole):
    place, checkpoint = whole
    again = place.uninterrupted(threads=1)
    assert files_of(newest(again.run)) == files_of(checkpoint)


@pytest.mark.parametrize("minibatches", range(1, MINIBATCHES + 1))
def test_stopped_after_any_minibatch(whole, minibatches):
    place, checkpoint = whole
    trainer = place.start()
    stop_after(trainer, minibatches)
    run = trainer.run
    assert Checkpoint.load(run).state.minibatches_done == minibatches
    trainer = resume(run, threads=1 + minibatches % 2)
    assert trainer.run == run, "another run was begun"
    finish(trainer)
    assert files_of(newest(run)) == files_of(checkpoint)


def test_stopped_after_every_minibatch(whole):
    place, checkpoint = whole
    trainer = place.start()
    run = trainer.run
    stop_after(trainer, 1)
    for done in range(1, MINIBATCHES):
        assert Checkpoint.load(run).state.minibatches_done == done
        events = stop_after(resume(run), 1)
        assert sum(isinstance(event, happened.MinibatchDone) for event in events) == 1
    finish(resume(run))  # what is left is the last test
    assert newest(run).name == checkpoint.name
    assert files_of(newest(run)) == files_of(checkpoint)


def test_stopped_before_the_first_minibatch(whole):
    place, checkpoint = whole
    trainer = place.start()
    trainer.stop = True
    finish(trainer)
    assert Checkpoint.load(trainer.run).state.minibatches_done == 0
    finish(resume(trainer.run))
    assert files_of(newest(trainer.run)) == files_of(checkpoint)


def test_stopped_in_a_test(whole):
    """A test that was not finished is done again: nothing of it is counted twice."""
    place, checkpoint = whole
    trainer = place.start()
    tests = 0
    for event in trainer.run_training():
        tests += isinstance(event, happened.TestRunning)
        trainer.stop = tests == 5  # each test takes two minibatches
    state = Checkpoint.load(trainer.run).state
    assert state.test_due
    assert state.tests_done == 2
    finish(resume(trainer.run))
    assert files_of(newest(trainer.run)) == files_of(checkpoint)


def test_from_an_older_checkpoint_the_end_is_the_same(whole):
    place, checkpoint = whole
    trainer = place.uninterrupted(keep=100)
    for older in sorted(trainer.run.iterdir())[:-1]:
        other = resume(older, keep=3)
        finish(other)
        assert other.run != trainer.run
        assert files_of(newest(other.run))[WEIGHTS] == files_of(checkpoint)[WEIGHTS]
        states = [json.loads((folder / STATE).read_text())["state"] for folder in (newest(other.run), checkpoint)]
        for key in ("train_history", "test_history", "tests_done", "epoch", "batch_idx"):
            assert states[0][key] == states[1][key], key


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Where a run is trained on JPEGs that processes decode: batches of 20 and 16 cases, 10 to test; its providers."""
    sizes = [[(10, 13), (11, 10)] * (cases // 2) for cases in (20, 16, 10)]
    axes = np.random.default_rng(2).normal(0, 30, (3, 3))
    source, opened = stored(tmp_path, sizes, 10, colour_axes=axes), []

    def open_one(options):
        opened.append(ImageProvider(source, options))
        return opened[-1]

    monkeypatch.setattr(session, "open_provider", open_one)
    return Place(tmp_path / "net"), opened


def test_photographs_whatever_the_number_of_processes(photographs):
    """Images come as bytes, minibatches are written over; stopped in a batch, at its end, and in a test."""
    place, opened = photographs
    whole = place.uninterrupted(classes=7, workers=1)
    costs = [entry["costs"]["logprob"]["cost"] for entry in whole.state.train_history]
    assert len(set(costs)) == 6
    assert np.isfinite(costs).all()
    for minibatches in (1, 3, 9, 14):
        trainer = place.start(classes=7, workers=3)
        stop_after(trainer, minibatches)
        finish(resume(trainer.run, workers=2))
        assert files_of(newest(trainer.run)) == files_of(newest(whole.run))
    for provider in opened:
        with pytest.raises(ConvnetError, match="closed"):
            provider.open_batch(1, 1, 8, train=True)
    tests = [run_test(whole.run, {"workers": 3}, DeviceOptions("cpu", 2), lambda *_: None, multiview=multiview)
             for multiview in (False, True)]  # fmt: skip
    assert tests[0].costs == whole.state.test_history[-1]["costs"]
    assert np.isfinite(tests[1].costs["logprob"]["cost"])
    assert tests[1].costs != tests[0].costs


def damage(provider, batchnum, case):
    """Overwrite a JPEG; what mends it."""
    source = provider._stored._source
    records = source.records(batchnum)
    path, offset = records.paths[records.files[case]], int(records.offsets[case])
    content = path.read_bytes()
    path.write_bytes(content[:offset] + bytes(40) + content[offset + 40 :])
    return lambda: path.write_bytes(content)


@pytest.mark.parametrize(("batchnum", "case", "minibatches", "test_freq"), [
    (2, 14, 4, 2), (2, 14, 4, 1), (1, 17, 2, 1), (2, 0, 3, 2), (3, 9, 5, 2),
])  # fmt: skip
def test_what_was_trained_is_saved_when_the_data_fails(photographs, batchnum, case, minibatches, test_freq):
    """Late in a batch, at its beginning, in a test; the image is mended then, and all is as if nothing had been."""
    place, opened = photographs
    whole = place.uninterrupted(classes=7, shuffle=False, test_freq=test_freq)
    mend = damage(opened[0], batchnum, case)
    trainer, events = place.start(classes=7, shuffle=False, test_freq=test_freq), []
    going_on = rf"; the run is saved: convnet train --checkpoint {trainer.run} goes on$"
    with pytest.raises(ConvnetError, match=rf"case {case} of the data batch: .*{going_on}"):
        events.extend(trainer.run_training())
    state = Checkpoint.load(trainer.run).state
    assert (state.minibatches_done, state.test_due) == (minibatches, batchnum == 3)
    before = files_of(trainer.run)
    if state.minibatches_done % 2 == 0 and batchnum == 2:  # the next one is the one that cannot be read
        again = resume(trainer.run)
        with pytest.raises(ConvnetError, match=rf"case {case} of the data batch: (?!.*the run is saved)"):
            finish(again)
        assert files_of(trainer.run) == before
    mend()
    finish(resume(trainer.run))
    assert files_of(newest(trainer.run)) == files_of(newest(whole.run))


def test_what_a_device_was_given_ahead_is_saved_when_the_data_fails(photographs, monkeypatch):
    """The device has the fourth minibatch when the fifth cannot be read, and the host has its costs yet to hear."""
    place, opened = photographs
    whole = place.uninterrupted(classes=7, shuffle=False, test_freq=2)
    mend = damage(opened[0], 2, 14)
    trainer = place.start(classes=7, shuffle=False, test_freq=2)

    def at_once(minibatch, begin=trainer.net.begin_training):
        costs = begin(minibatch)()
        return lambda: costs

    monkeypatch.setattr(trainer.net, "begin_training", at_once)
    monkeypatch.setattr(happened, "begun", lambda begin, data, _: begun(begin, data, 1))
    with pytest.raises(ConvnetError, match="the run is saved"):
        finish(trainer)
    assert Checkpoint.load(trainer.run).state.minibatches_done == 4
    mend()
    finish(resume(trainer.run))
    assert files_of(newest(trainer.run)) == files_of(newest(whole.run))


def test_a_process_that_is_killed_costs_nothing(photographs):
    place, opened = photographs
    whole = place.uninterrupted(classes=7, mini=1)
    trainer = place.start(classes=7, mini=1, workers=2)

    def train():
        for event in trainer.run_training():
            if isinstance(event, happened.MinibatchDone) and event.done == 3:
                os.kill(opened[-1].workers().pids[0], signal.SIGKILL)

    with pytest.raises(ConvnetError, match=r"was ended by SIGKILL; the run is saved: convnet train --checkpoint"):
        train()
    assert Checkpoint.load(trainer.run).state.minibatches_done >= 3
    finish(resume(trainer.run))
    assert files_of(newest(trainer.run)) == files_of(newest(whole.run))


def test_data_that_fails_where_nothing_can_be_saved(photographs, monkeypatch):
    place, opened = photographs
    trainer = place.start(classes=7, shuffle=False, test_freq=2)
    damage(opened[0], 2, 14)

    def full(*_):
        raise ConvnetError("no space left")

    monkeypatch.setattr(Checkpoint, "save", full)
    with pytest.raises(ConvnetError, match=r"case 14 of the data batch: .*; no space left$"):
        finish(trainer)


def test_data_that_was_moved(tmp_path):
    """The message tells how to go on; not where the command line itself names what is not there."""
    place = Place(tmp_path)
    trainer = place.start()
    stop_after(trainer, 1)
    moved = place.data.rename(tmp_path / "moved.npz")
    text = f"{place.data}: expected data, but there is no such file or folder"
    with pytest.raises(ConvnetError, match=f"^{text}; --data names its new place$"):
        resume(trainer.run)
    with pytest.raises(ConvnetError, match=f"^{text}$"):
        resume(trainer.run, data=str(place.data))
    finish(resume(trainer.run, data=str(moved)))
