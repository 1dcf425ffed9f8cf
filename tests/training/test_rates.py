"""Rates that depend on epochs and on tests: when they jump, what is told, and that resumed runs have the same."""

import pytest

from convnet.training import trainer as happened
from convnet.training.checkpoint import WEIGHTS, newest
from convnet.training.evaluate import test_error as error_of

from .small import MINIBATCHES, PARAMS, Place, files_of, finish, resume, stop_after

DEXP = "dexp[base=0.05;tgtFactor=10;numSteps=3]"
LINEAR = "linear[base=0.05;tgtFactor=4]"


def with_rates(conv, fc="0.02"):
    """The parameters of the small net with these rates of its weights; those of the biases are constant."""
    return PARAMS.replace(DEXP, conv).replace(LINEAR, fc)


def jumps(events):
    """{(epoch, batch number): the new rate of conv1's weights}."""
    return {
        (event.epoch, event.batchnum): event.rates["conv1.weights.0"]
        for event in events
        if isinstance(event, happened.RatesChanged)
    }


def test_jumps_are_told_with_all_rates_before_the_batch(tmp_path):
    trainer = Place(tmp_path, with_rates("step[base=0.05;tgtFactor=10;epochs=2,3]")).start()
    assert trainer.rates()["conv1.weights.0"] == 0.05
    events = finish(trainer)
    assert jumps(events) == pytest.approx({(2, 1): 0.005, (3, 1): 0.0005})
    index = next(i for i, event in enumerate(events) if isinstance(event, happened.RatesChanged))
    assert (events[index + 1].epoch, events[index + 1].batchnum, events[index + 1].done) == (2, 1, 8)
    assert events[index].rates == pytest.approx(
        {"conv1.weights.0": 0.005, "conv1.biases": 0.1, "fc.weights.0": 0.02, "fc.biases": 0.1}
    )


def test_smooth_changes_are_not_told(tmp_path):
    trainer = Place(tmp_path, with_rates("exp[base=0.05;tgtFactor=10]", LINEAR)).start()
    assert jumps(finish(trainer)) == {}
    assert jumps(finish(Place(tmp_path / "dexp").start())).keys() == {(2, 2), (3, 2)}


def test_what_does_not_learn_has_no_rate(tmp_path):
    trainer = Place(tmp_path, with_rates("step[base=0;tgtFactor=10;epochs=2]")).start()
    before = trainer.net.state()["conv1.weights.0"]
    assert "conv1.weights.0" not in trainer.rates()
    assert not any(isinstance(event, happened.RatesChanged) for event in finish(trainer))
    assert (trainer.net.state()["conv1.weights.0"] == before).all(), "not even decay"


def test_a_step_trains_as_two_runs_with_constant_rates(tmp_path):
    place = Place(tmp_path, with_rates("step[base=0.05;tgtFactor=10;epochs=3]"))
    whole = place.uninterrupted()
    place.params.write_text(with_rates("0.05"))
    run = place.uninterrupted(epochs=2).run
    place.params.write_text(with_rates(repr(0.05 * 10.0**-1)))
    finish(resume(run, params=str(place.params), epochs=3))
    assert files_of(newest(run))[WEIGHTS] == files_of(newest(whole.run))[WEIGHTS]


@pytest.fixture(scope="module")
def stalled(tmp_path_factory):
    """A run with a plateau, and what happened in it."""
    plateau = "plateau[base=0.05;tgtFactor=10;patience=1;minImprovement=0.05]"
    place = Place(tmp_path_factory.mktemp("stalled"), with_rates(plateau))
    trainer = place.start()
    return place, trainer.run, finish(trainer)


def test_a_plateau_falls_with_the_batch_after_the_test(stalled):
    """Tests come after every batch here; `best` and the rate are followed by hand."""
    expected, best, rate, due = {}, 9.0, 0.05, None
    for event in stalled[2]:
        if isinstance(event, happened.MinibatchDone) and due is not None:
            expected[event.epoch, event.batchnum], due = due, None
        if isinstance(event, happened.TestDone):
            if error_of(event.costs) < best - 0.05:
                best = error_of(event.costs)
            elif rate > 0.05 / 999:
                rate = due = rate / 10
    assert jumps(stalled[2]) == pytest.approx(expected)
    assert len(expected) >= 2, "nothing is shown"


@pytest.mark.parametrize("minibatches", range(1, MINIBATCHES + 1))
def test_a_plateau_survives_a_stop(stalled, minibatches):
    """Weights and state are those of the uninterrupted run bit for bit, and each jump is told once at most."""
    place, whole, events = stalled
    trainer = place.start()
    told = jumps(stop_after(trainer, minibatches))
    again = resume(trainer.run)
    now = again.rates()["conv1.weights.0"]
    later = jumps(finish(again))
    assert told.keys().isdisjoint(later)
    assert {**told, **later}.items() <= jumps(events).items()
    assert now == list({(0, 0): 0.05, **jumps(events)}.values())[len(jumps(events)) - len(later)]
    assert files_of(newest(trainer.run)) == files_of(newest(whole))


def test_a_plateau_of_another_parameter_file_counts_from_the_beginning(stalled, tmp_path):
    """As if it had been there throughout, as all other schedules."""
    place, _, events = stalled
    constant = tmp_path / "constant.cfg"
    constant.write_text(with_rates("0.05"))
    run = place.uninterrupted(params=None).run
    trainer = resume(run, params=str(constant), epochs=4)
    assert trainer.rates()["conv1.weights.0"] == 0.05
    constant.write_text(with_rates("plateau[base=0.08;tgtFactor=2;patience=1;minImprovement=0.05;maxDrops=2]"))
    trainer = resume(run, params=str(constant), epochs=4)
    assert len(jumps(events)) >= 2
    assert trainer.rates()["conv1.weights.0"] == 0.02
