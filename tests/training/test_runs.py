"""Where runs begin and go on, and with what options."""

import shutil

import numpy as np
import pytest

from convnet.backends import DeviceOptions
from convnet.errors import ConvnetError
from convnet.training.batches import BatchManager
from convnet.training.checkpoint import WEIGHTS, Checkpoint, TrainingState, checkpoints, newest
from convnet.training.runs import continued_run, new_run
from convnet.training.surgery import Surgery
from convnet.training.trainer import Trainer

from .small import MINIBATCHES, PARAMS, Place, files_of, finish, resume, stop_after


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Where a run has ended that kept all its checkpoints, and its folder."""
    place = Place(tmp_path_factory.mktemp("ended"))
    return place, place.uninterrupted(keep=100).run


@pytest.fixture
def run(ended, tmp_path):
    """A copy of that run, in a folder of its own."""
    return shutil.copytree(ended[1], tmp_path / "runs" / ended[1].name)


def test_every_run_has_a_folder_of_its_own(tmp_path):
    place = Place(tmp_path)
    runs = [place.uninterrupted(epochs=1).run for _ in range(3)]
    assert len(set(runs)) == 3
    assert all(run.name.startswith("net-2") for run in runs)
    assert sorted(place.runs.iterdir()) == sorted(runs)


def test_nothing_is_written_before_the_first_checkpoint(tmp_path):
    place = Place(tmp_path)
    trainer = place.start()
    next(trainer.run_training())
    assert not files_of(place.runs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train-range": [1, 9]}, "--train-range: .* found 9"),
        ({"test-range": [9]}, "--test-range: .* found 9"),
        ({"crop": 11}, "crop 11 does not fit into images of 10x10 pixels"),
        ({"data": "nowhere"}, "nowhere: expected data"),
        ({"classes": 5}, "outputs: expected 3, the number of classes in the data, found 5; --classes 3"),
    ],
)
def test_wrong_options_write_nothing(tmp_path, given, message):
    place = Place(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    given = {"data": str(place.data), **given}
    with pytest.raises(ConvnetError, match=message):
        new_run(str(place.layers), str(place.params), given, place.runs, DeviceOptions("cpu", 1))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_goes_on_in_its_folder(run):
    (run / "minibatch-000000999-tests-0001").mkdir()  # left by a process that was killed while it removed one
    trainer = resume(run, epochs=4)
    assert trainer.run == run
    assert trainer.state.minibatches_done == MINIBATCHES
    finish(trainer)
    state = Checkpoint.load(run).state
    assert [entry["epoch"] for entry in state.train_history] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert state.minibatches_done == MINIBATCHES + 5


def test_the_newest_checkpoint_by_name_is_the_run(run):
    assert resume(newest(run), epochs=4).run == run


@pytest.mark.parametrize("where", ["run", "newest", "link"])
def test_paths_from_within(run, monkeypatch, where):
    """`convnet train --checkpoint .`, and a link to a run."""
    if where == "link":
        (run.parent / "latest").symlink_to(run, target_is_directory=True)
        path = run.parent / "latest"
    else:
        path = "."
        monkeypatch.chdir(run if where == "run" else newest(run))
    trainer = resume(path, epochs=4)
    finish(trainer)
    assert trainer.run.resolve() == run.resolve()
    assert Checkpoint.load(run).state.epoch == 5


def test_from_an_older_checkpoint_a_new_run_begins_beside_the_run(run):
    older, before = checkpoints(run)[2], files_of(run)
    trainer = resume(older, keep=100)
    finish(trainer)
    assert trainer.run.parent == run.parent
    assert run.name in trainer.run.name
    assert files_of(run) == before, "the older run was changed"
    steps = [Checkpoint.load(folder).state.minibatches_done for folder in checkpoints(trainer.run)]
    assert steps == [10, 13, 15]


def test_from_an_older_checkpoint_named_from_within_its_run(run, monkeypatch):
    before = files_of(run)
    monkeypatch.chdir(run)
    trainer = resume(checkpoints(run)[0].name)
    finish(trainer)
    assert trainer.run.resolve().parent == run.parent
    assert files_of(run) == before


def test_from_a_checkpoint_outside_a_run_a_new_run_begins_beside_it(run, tmp_path):
    alone = shutil.copytree(newest(run), tmp_path / "elsewhere" / "deep" / "mine")
    before = files_of(alone)
    trainer = resume(alone, epochs=4)
    finish(trainer)
    assert trainer.run.parent == alone.parent
    assert "mine" in trainer.run.name
    assert files_of(alone) == before


def test_a_new_run_may_begin_elsewhere(run, tmp_path):
    older, elsewhere, device = checkpoints(run)[2], tmp_path / "else" / "where", DeviceOptions("cpu", 2)
    trainer = continued_run(older, None, {}, device, save_path=elsewhere)
    assert trainer.run.parent == elsewhere
    assert trainer.run.name.startswith(f"{run.name}-from-{older.name}-2")
    trainer = continued_run(run, None, {"epochs": 4}, device, Surgery(to_local=("conv1",)), elsewhere / "local")
    assert trainer.run.parent == elsewhere / "local"
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvnetError, match="--save-path: expected a folder"):
        continued_run(older, None, {}, device, save_path=tmp_path / "file")


def test_a_run_that_goes_on_stays_in_its_folder(run, tmp_path):
    for path in (run, newest(run)):
        with pytest.raises(ConvnetError, match=r"^--save-path: a run that goes on stays in its folder"):
            continued_run(path, None, {"epochs": 4}, DeviceOptions("cpu", 2), save_path=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_a_run_goes_on_with_the_other_way_to_crop(tmp_path):
    run = Place(tmp_path).uninterrupted(epochs=1, crop=8).run
    options = resume(run, epochs=2, crop_border=1).session.options
    assert (options["crop"], options["crop-border"]) == (0, 1)
    params = tmp_path / "border.cfg"
    params.write_text(PARAMS.replace("crop=8", "crop-border=1"))
    options = resume(run, params=str(params), epochs=2).session.options
    assert (options["crop"], options["crop-border"]) == (8, 0), "what the command line gave at first"


def test_the_best_of_a_new_run_is_one_of_its_own(run):
    """The older run's best checkpoint is not in the folder of the new one."""
    trainer = resume(checkpoints(run)[3], epochs=8, keep=1)
    finish(trainer)
    names = {folder.name for folder in checkpoints(trainer.run)}
    assert trainer.state.best["checkpoint"] in names
    errors = [entry["costs"]["logprob"]["error"] for entry in trainer.state.test_history[4:]]
    assert trainer.state.best["error"] == min(errors)


def test_all_epochs_done(run):
    with pytest.raises(ConvnetError, match="all 3 epochs are done; --epochs asks for more"):
        resume(run)
    before = files_of(run)
    with pytest.raises(ConvnetError, match="all 2 epochs are done"):
        resume(run, epochs=2)
    assert files_of(run) == before


def test_more_epochs_are_those_of_a_longer_run(tmp_path):
    """Where rates do not depend on the number of epochs."""
    params = PARAMS.replace("dexp[base=0.05;tgtFactor=10;numSteps=3]", "0.05")
    place = Place(tmp_path, params=params.replace("linear[base=0.05;tgtFactor=4]", "0.02"))
    long = place.uninterrupted(epochs=5)
    short = place.uninterrupted(epochs=3)
    finish(resume(short.run, epochs=5))
    assert files_of(newest(short.run)) == files_of(newest(long.run))


def test_rates_follow_the_new_number_of_epochs(run):
    """As in the originals, progress is that of all epochs now asked for."""
    trainer = resume(run, epochs=6)
    assert trainer.batches.progress == 0.5
    next(trainer.run_training())
    fc, conv = trainer.net.parameter("fc.weights.0"), trainer.net.parameter("conv1.weights.0")
    rates = dict(zip(trainer.net.graph.parameters, trainer.net.store.layouts[0].rates[:, 0], strict=True))
    assert rates[fc] == pytest.approx(0.05 * 0.5 + 0.05 / 4 * 0.5)
    assert rates[conv] == pytest.approx(0.05 * 10**-0.5)  # the second of three steps


def test_another_parameter_file_changes_the_rates_and_is_kept(run, tmp_path):
    given = tmp_path / "slow.cfg"
    given.write_text(PARAMS.replace("linear[base=0.05;tgtFactor=4]", "0.001").replace("epochs=3", "epochs=4"))
    trainer = resume(run, params=str(given))
    rates = dict(zip(trainer.net.graph.parameters, trainer.net.store.layouts[0].rates, strict=True))
    assert rates[trainer.net.parameter("fc.weights.0")][0] == 0.001
    finish(trainer)
    stored = Checkpoint.load(run)
    assert stored.state.epoch == 5, "the file's [train] section was not read"
    assert stored.params == given.read_text()
    assert resume(run, epochs=9).net.store.layouts[0].rates[:, 0].min() == 0.001


def test_what_was_given_counts_above_the_file_and_is_kept(run):
    trainer = resume(run, epochs=4, seed=9)
    assert trainer.session.options["seed"] == 9
    assert trainer.session.options["mini"] == 8
    finish(trainer)
    assert Checkpoint.load(run).options["seed"] == 9


def test_a_broken_parameter_file_is_reported_and_nothing_written(run, tmp_path):
    given, before = tmp_path / "bad.cfg", files_of(run)
    given.write_text(PARAMS.replace("momW=0.9", "momW=fast"))
    with pytest.raises(ConvnetError, match=r"bad\.cfg:\d+: \[conv1\] momW: expected"):
        resume(run, params=str(given), epochs=4)
    assert files_of(run) == before


def test_other_data_than_the_net_takes(run, tmp_path):
    larger = tmp_path / "larger.npz"
    np.savez(larger, images=np.zeros((9, 12, 12, 3), np.uint8), labels=np.arange(9) % 3)
    with pytest.raises(ConvnetError, match=r"expected data of 3x8x8 and 1, .* found 3x10x10 and 1"):
        resume(run, data=str(larger), crop=10, epochs=4)


@pytest.fixture
def patient(monkeypatch):
    """Fails a training that asks for batches without end."""
    asked = []
    get = BatchManager.get_next_batch

    def count(manager):
        asked.append(1)
        assert len(asked) < 60, "training goes round and round"
        return get(manager)

    monkeypatch.setattr(BatchManager, "get_next_batch", count)


@pytest.mark.parametrize("given", [{"mini": 4}, {"mini": 20}, {"mini": 3}, {"shuffle": False}, {"test_freq": 4}])
def test_other_options_in_the_middle_of_a_batch(tmp_path, patient, given):
    """The batch under way goes on with the cases that are left, no case twice and none left out."""
    trainer = Place(tmp_path).start()
    stop_after(trainer, 6)  # in the second epoch: 8 of 20 cases are done
    trainer = resume(trainer.run, **given)
    finish(trainer)
    assert [entry["cases"] for entry in trainer.state.train_history] == [20, 16] * 3
    assert len(trainer.state.test_history) == (6 if "test_freq" not in given else 4)


@pytest.mark.parametrize(
    ("stop", "given"), [(4, {"train_range": [1]}), (9, {"batch_size": 40}), (9, {"batch_size": 7})]
)
def test_other_batches_in_the_middle_of_an_epoch(tmp_path, patient, stop, given):
    """A range in which the current batch does not occur is begun anew, as the originals do."""
    trainer = Place(tmp_path).start()
    stop_after(trainer, stop)
    trainer = resume(trainer.run, **given)
    finish(trainer)
    assert trainer.state.epoch == 4
    assert trainer.state.train_history[-1]["epoch"] == 3
    assert Checkpoint.load(trainer.run).state.test_due is False


def test_the_weights_of_a_run_do_not_depend_on_when_it_tests(tmp_path):
    place = Place(tmp_path)
    first, other = place.uninterrupted(test_freq=1), place.uninterrupted(test_freq=4, test_one=True)
    assert files_of(newest(first.run))[WEIGHTS] == files_of(newest(other.run))[WEIGHTS]


def test_the_data_is_found_again_from_another_folder(tmp_path, monkeypatch):
    place = Place(tmp_path)
    monkeypatch.chdir(place.data.parent)
    given = {"data": place.data.name, "epochs": 1}
    trainer = new_run(str(place.layers), str(place.params), given, place.runs, DeviceOptions("cpu", 1))
    list(trainer.run_training())
    monkeypatch.chdir("/")
    assert continued_run(trainer.run, None, {"epochs": 2}, DeviceOptions("cpu", 1)).session.provider.cases(1) > 0


def test_other_data_is_normalized_as_the_nets_own(run, tmp_path):
    other = tmp_path / "other.npz"
    generator = np.random.default_rng(8)
    np.savez(other, images=generator.integers(0, 99, (30, 10, 10, 3), np.uint8), labels=np.arange(30) % 3)
    trained = Checkpoint.load(newest(run)).statistics["mean"]
    provider = resume(run, data=str(other), epochs=4).session.provider
    np.testing.assert_array_equal(provider.statistics()["mean"], trained)


def test_what_the_command_line_gave_at_first_wins_over_another_parameter_file(tmp_path):
    place = Place(tmp_path)
    run = place.uninterrupted(epochs=1, mini=7).run
    other = tmp_path / "other.cfg"
    other.write_text(PARAMS + "[train]\nmini=9\nkeep=2\n" if "[train]" not in PARAMS else PARAMS)
    options = resume(run, params=str(other), epochs=2).session.options
    assert (options["mini"], options["epochs"]) == (7, 2)


def test_one_process_at_a_time_trains_a_run(tmp_path):
    place = Place(tmp_path)
    first = place.start()
    training = first.run_training()
    next(training)
    second = Trainer(first.session, first.net, first.run, TrainingState())
    with pytest.raises(ConvnetError, match="another process is training this run"):
        next(second.run_training())
    training.close()
    next(second.run_training())
