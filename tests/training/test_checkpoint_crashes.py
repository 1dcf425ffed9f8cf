"""Writing and removing checkpoints, cut short at every call that touches the disk.

An error (a full disk) must be reported as one, and leave nothing behind; after a crash the run must go on from what is
there. What the system does with a file that was never flushed is not simulated: that everything is flushed before it
is renamed is checked by the order of the calls.
"""

import errno
import os
import pathlib
import shutil

import pytest
from safetensors import SafetensorError

from convnet.errors import ConvnetError
from convnet.training import checkpoint as module
from convnet.training.checkpoint import STATE, Checkpoint, checkpoints, newest
from convnet.training.trainer import Saved

from .small import Place, files_of, finish, resume

CALLS = [(os, "mkdir"), (os, "fsync"), (os, "rename"), (os, "unlink"), (os, "rmdir"), (module, "save_file"),
         (pathlib.Path, "write_text")]  # fmt: skip


class CrashError(BaseException):
    """Stands for the end of the process: nothing catches it."""


class Disk:
    """Writes down the calls that change the disk: (name, path ...) in `log`.

    Call number `failing` (from 0), or the first of that name, raises `error` instead of acting.
    """

    def __init__(self, monkeypatch, failing=None, error=None):
        self.log, self.failing, self.error = [], failing, error
        self._open, self._paths = os.open, {}
        for owner, name in CALLS:
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name), name))
        monkeypatch.setattr(os, "open", self._remembered)

    def _wrapped(self, function, name):
        def call(*arguments, **options):
            named = [self._paths[arguments[0]]] if name == "fsync" else arguments
            self.log.append((name, *(str(path) for path in named if isinstance(path, (str, pathlib.Path)))))
            if self.failing in (len(self.log) - 1, name):
                raise self.error
            return function(*arguments, **options)

        return call

    def _remembered(self, path, *arguments, **options):
        descriptor = self._open(path, *arguments, **options)
        self._paths[descriptor] = path
        return descriptor


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A run that stopped when its next checkpoint was due, and how it would have ended."""
    place = Place(tmp_path_factory.mktemp("before"))
    end = place.uninterrupted(epochs=6, keep=2)
    trainer = place.start(epochs=6, keep=2)
    for event in trainer.run_training():
        if trainer.state.tests_done == 6 and isinstance(event, Saved):
            break
    return trainer.run, end


@pytest.fixture
def run(before, tmp_path):
    """A copy of its folder."""
    return shutil.copytree(before[0], tmp_path / "run")


def train_one_batch(run):
    """Go on up to the next checkpoint: written, and an older one removed."""
    for event in resume(run).run_training():
        if isinstance(event, Saved):
            return


def calls_of_one_batch(run, monkeypatch):
    with monkeypatch.context() as patched:
        log = Disk(patched).log
        train_one_batch(run)
    return log


def test_everything_is_flushed_before_the_name_and_the_name_before_older_ones_go(run, monkeypatch):
    present = set(checkpoints(run))
    log = calls_of_one_batch(run, monkeypatch)
    (removed,) = present - set(checkpoints(run))
    names = [name for name, *_ in log]
    assert names.count("rename") == 1
    renamed = names.index("rename")
    _, aside, target = log[renamed]
    flushed = [os.path.normpath(call[1]) for call in log[:renamed] if call[0] == "fsync"]
    assert len(os.listdir(target)) == 4
    assert sorted(flushed) == sorted([aside, *(f"{aside}/{name}" for name in os.listdir(target))])
    written = [index for index, name in enumerate(names) if name in ("save_file", "write_text")]
    assert max(written) < names.index("fsync")
    assert log[renamed + 1] == ("fsync", str(run))
    removals = [index for index, name in enumerate(names) if name in ("unlink", "rmdir")]
    assert min(removals) > renamed + 1
    assert log[removals[0]] == ("unlink", str(removed / STATE)), "half removed, it would be taken for whole"


@pytest.mark.parametrize("kind", [OSError, SafetensorError])
def test_a_full_disk_is_an_error_that_leaves_nothing_behind(before, run, tmp_path, monkeypatch, kind):
    error = OSError(errno.ENOSPC, "No space left on device") if kind is OSError else SafetensorError("No space left")
    calls = calls_of_one_batch(shutil.copytree(run, tmp_path / "counted"), monkeypatch)
    for failing, (name, *_) in enumerate(calls):
        if kind is SafetensorError and name != "save_file":
            continue
        copy = shutil.copytree(run, tmp_path / f"run{failing}")
        with monkeypatch.context() as patched:
            Disk(patched, failing, error)
            with pytest.raises(ConvnetError, match="No space left") as caught:
                train_one_batch(copy)
        assert str(copy) in str(caught.value), name
        assert not list(copy.glob(".writing*")), name
        finish(resume(copy))
        assert files_of(copy) == files_of(before[1].run), name


def test_after_a_crash_at_any_call_the_run_goes_on(before, run, tmp_path, monkeypatch):
    calls = calls_of_one_batch(shutil.copytree(run, tmp_path / "counted"), monkeypatch)
    assert {name for name, *_ in calls} == {name for _, name in CALLS}, "a kind of call did not occur"
    assert len(calls) > 15
    old, best = newest(run).name, Checkpoint.load(run).state.best["checkpoint"]
    results = set()
    for failing in range(len(calls)):
        copy = shutil.copytree(run, tmp_path / f"run{failing}")
        with monkeypatch.context() as patched:
            Disk(patched, failing, CrashError())
            with pytest.raises(CrashError):
                train_one_batch(copy)
        assert newest(copy).name >= old
        assert best in {folder.name for folder in checkpoints(copy)}
        for folder in checkpoints(copy):
            Checkpoint.load(folder)
        results.add(newest(copy).name)
        finish(resume(copy))
        assert files_of(copy) == files_of(before[1].run), calls[failing]
    assert len(results) == 2, "crashes left the old checkpoint, or the new one"


def test_a_crash_of_the_very_first_checkpoint(tmp_path, monkeypatch):
    """Nothing was saved, so there is nothing to go on from."""
    trainer = Place(tmp_path).start()
    with monkeypatch.context() as patched:
        Disk(patched, "fsync", CrashError())
        with pytest.raises(CrashError):
            finish(trainer)
    assert list(trainer.run.iterdir())
    with pytest.raises(ConvnetError, match="found no checkpoint"):
        resume(trainer.run)
