"""What a checkpoint holds, which ones are kept, and what unreadable ones say."""

import json
import re
import shutil
from dataclasses import asdict

import numpy as np
import pytest

from convnet.errors import ConvnetError
from convnet.training.checkpoint import (
    FORMAT,
    LAYERS,
    PARAMS,
    STATE,
    WEIGHTS,
    Checkpoint,
    TrainingState,
    checkpoints,
    newest,
    remove_old,
    remove_unfinished,
)

from .small import Place, files_of, finish, resume

FILES = [LAYERS, PARAMS, STATE, WEIGHTS]


def a_checkpoint(done=0, **state):
    random = np.random.default_rng(done)
    weights = {"fc.weights.0": random.standard_normal((3, 2)).astype(np.float32)}
    options = {"epochs": 3, "input": "1x8x8", "crop": None}
    return Checkpoint(
        layers="[a]\n", params="# ü\n", options=options, given={"mini": 3}, data={"shapes": ["4"]},
        state=TrainingState(minibatches_done=done, **state), weights=weights,
        statistics={"mean": np.arange(4, dtype=np.float32)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The folder of a run that has ended."""
    return Place(tmp_path_factory.mktemp("ended")).uninterrupted().run


@pytest.fixture
def run(ended, tmp_path):
    """A copy of it."""
    return shutil.copytree(ended, tmp_path / "run")


def test_what_is_written_is_read(tmp_path):
    history = [{"epoch": 1, "batchnum": 2, "cases": 20, "costs": {"logprob": {"cost": 0.1 + 0.2, "error": 1 / 3}}}]
    state = {"epoch": 4, "batch_idx": 1, "tests_done": 7, "test_due": True, "train_history": history}
    written = a_checkpoint(9, **state)
    folder = written.save(tmp_path / "new" / "run")
    found = Checkpoint.load(folder)
    assert (found.layers, found.params, found.options) == (written.layers, written.params, written.options)
    assert (found.data, found.given) == (written.data, written.given)
    np.testing.assert_array_equal(found.statistics["mean"], written.statistics["mean"])
    assert found.state == written.state
    assert found.weights.keys() == written.weights.keys()
    assert found.weights["fc.weights.0"].tobytes() == written.weights["fc.weights.0"].tobytes()


def test_a_checkpoint_is_four_plain_files_and_nothing_else(run):
    folder = newest(run)
    assert sorted(files_of(folder)) == sorted(FILES)
    header = (folder / WEIGHTS).read_bytes()[8:300]
    assert header.startswith(b'{"')  # safetensors: the length of a JSON header, then the header
    assert json.loads((folder / STATE).read_text())["format"] == FORMAT
    for content in files_of(folder).values():
        assert not content.startswith(b"\x80"), "a pickle"


def test_the_state_of_training_is_in_it(run):
    checkpoint = Checkpoint.load(run)
    state = checkpoint.state
    assert (state.epoch, state.batch_idx, state.minibatches_done, state.tests_done) == (4, 0, 15, 6)
    assert not state.test_due
    assert not state.partial
    errors = [entry["costs"]["logprob"]["error"] for entry in state.test_history]
    assert state.best["error"] == min(errors)
    names = [f"{layer}.{kind}" for layer in ("conv1", "fc") for kind in ("weights.0", "biases")]
    assert set(checkpoint.weights) == {*names, *(f"{name}.inc" for name in names)}
    assert all(weights.any() for weights in checkpoint.weights.values())
    assert checkpoint.options["mini"] == 8
    assert checkpoint.data["shapes"] == ["3x8x8", "1"]
    assert "[conv1]" in checkpoint.layers
    assert "[train]" in checkpoint.params


def test_the_newest_of_a_run_or_the_one_named(tmp_path):
    folders = [a_checkpoint(done).save(tmp_path) for done in (9, 10, 200, 3)]
    assert checkpoints(tmp_path) == [folders[index] for index in (3, 0, 1, 2)]
    assert newest(tmp_path) == folders[2]
    assert newest(folders[0]) == folders[0]
    later = a_checkpoint(200, tests_done=40).save(tmp_path)
    assert newest(tmp_path) == later


def test_saving_the_same_state_again_changes_nothing(tmp_path):
    folder = a_checkpoint(5).save(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert a_checkpoint(5).save(tmp_path) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("keep", "best", "left"), [(1, 20, (20, 50)), (2, 50, (40, 50)), (2, 40, (40, 50)), (9, 10, (10, 20, 30, 40, 50))]
)
def test_the_newest_and_the_best_are_kept(tmp_path, keep, best, left):
    folders = {done: a_checkpoint(done).save(tmp_path) for done in (10, 20, 30, 40, 50)}
    remove_old(tmp_path, keep, folders[best].name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(folders[done].name for done in left)


def test_a_run_keeps_the_newest_and_the_best(tmp_path):
    trainer = Place(tmp_path).uninterrupted(keep=2, epochs=8)
    best = trainer.state.best["checkpoint"]
    names = [folder.name for folder in checkpoints(trainer.run)]
    assert best in names
    assert best not in names[-2:], "the best is among the newest: choose another seed"
    assert [Checkpoint.load(trainer.run / name).state.tests_done for name in names[-2:]] == [15, 16]
    assert len(names) == 3


def test_what_a_killed_process_left_is_removed_on_resuming(run):
    kept = files_of(run)
    shutil.copytree(newest(run), run / ".writing-minibatch-000000020-tests-0007")
    removed = shutil.copytree(newest(run), run / "minibatch-000000001-tests-0001")
    (removed / STATE).unlink()
    (run / "notes.txt").write_text("the user's own")
    remove_unfinished(run)
    assert (run / "notes.txt").read_text() == "the user's own"
    (run / "notes.txt").unlink()
    assert files_of(run) == kept


def test_where_there_is_no_checkpoint(tmp_path):
    for path, found in [(tmp_path / "nowhere", "nothing"), (tmp_path, "no checkpoint")]:
        expected = f"{path}: expected a run or a checkpoint, found {found}"
        with pytest.raises(ConvnetError, match=f"^{re.escape(expected)}$"):
            Checkpoint.load(path)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ConvnetError, match="expected a run or a checkpoint"):
        newest(file)
    with pytest.raises(ConvnetError, match="expected a run or a checkpoint"):
        newest(tmp_path / ("x" * 300))


def damaged(folder, name, content):
    """Replace a file of the checkpoint by this content, by a folder ("folder"), or by nothing (None)."""
    (folder / name).unlink()
    if content == "folder":
        (folder / name).mkdir()
    elif content is not None:
        (folder / name).write_bytes(content)


DAMAGES = [None, "folder", b"\xff\xfe\x00garbage"]
DAMAGES_OF_DATA = [b"", b"[]", b"{}", b"null"]  # as cfg files these are texts, which their reader judges


@pytest.mark.parametrize(
    ("name", "content"),
    [(name, content) for name in FILES for content in DAMAGES]
    + [(name, content) for name in (STATE, WEIGHTS) for content in DAMAGES_OF_DATA],
)
def test_a_damaged_checkpoint_says_so(run, name, content):
    folder = newest(run)
    damaged(folder, name, content)
    with pytest.raises(ConvnetError, match=re.escape(str(folder))):
        Checkpoint.load(folder)


@pytest.mark.parametrize("name", [STATE, WEIGHTS])
def test_a_truncated_checkpoint_never_gives_another_error(run, name):
    folder = newest(run)
    content = (folder / name).read_bytes()
    for size in np.unique(np.linspace(0, len(content) - 1, 12).astype(int)):
        (folder / name).write_bytes(content[:size])
        with pytest.raises(ConvnetError):
            finish(resume(folder, epochs=4))


@pytest.mark.parametrize(
    ("key", "value"),
    [("format", 2), ("format", None), ("format", "1"), ("state", []), ("state", {"epoch": 1, "what": 2}),
     ("options", [1])],
)  # fmt: skip
def test_a_checkpoint_of_another_kind_says_so(run, key, value):
    path = newest(run) / STATE
    described = {**json.loads(path.read_text()), key: value}
    path.write_text(json.dumps(described))
    with pytest.raises(ConvnetError, match=re.escape(str(newest(run)))):
        resume(run, epochs=4)


def test_an_unknown_format_is_named(run):
    path = newest(run) / STATE
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', '"format": 99'))
    with pytest.raises(ConvnetError, match=f"expected format {FORMAT}, found 99"):
        Checkpoint.load(run)


@pytest.mark.parametrize("key", asdict(TrainingState()))
def test_a_state_of_other_types_says_so(run, key):
    path = newest(run) / STATE
    described = json.loads(path.read_text())
    described["state"][key] = "x"
    path.write_text(json.dumps(described))
    with pytest.raises(ConvnetError, match=key):
        resume(run, epochs=4)


@pytest.mark.parametrize("change", ["missing", "other shape", "missing increments"])
def test_weights_of_another_net_are_refused(run, change):
    from safetensors.numpy import load_file, save_file

    path = newest(run) / WEIGHTS
    weights = load_file(path)
    if change == "other shape":
        weights["fc.weights.0"] = np.ascontiguousarray(weights["fc.weights.0"].T)
    else:
        del weights["fc.weights.0" + ".inc" * (change == "missing increments")]
    save_file(weights, path)
    with pytest.raises(ConvnetError, match=r"expected 'fc\.weights\.0(\.inc)?' of shape \(96, 3\), found"):
        resume(run, epochs=4)


def test_pickles_are_not_executed(run):
    """Neither in place of the weights nor of the state."""
    bomb = b"cbuiltins\nexit\n(tR."
    for name in (WEIGHTS, STATE):
        folder = shutil.copytree(newest(run), run.parent / name)
        (folder / name).write_bytes(bomb)
        with pytest.raises(ConvnetError, match="cannot be read"):
            Checkpoint.load(folder)
