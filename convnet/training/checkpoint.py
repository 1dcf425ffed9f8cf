"""Checkpoints: a folder each, of safetensors, JSON and the two cfg texts. No pickle is read or written."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from convnet.errors import ConvnetError

FORMAT = 1
WEIGHTS, STATE, LAYERS, PARAMS = "weights.safetensors", "state.json", "layers.cfg", "params.cfg"
_PREFIX, _ASIDE = "minibatch-", ".writing-"
_STATISTICS = "data/"  # before the names of statistics among the weights


@dataclass
class TrainingState:
    """Where training stands: in batch `batch_idx` of epoch `epoch`, as many cases of it done as `partial` counts.

    `test_due`: the test after the batch before is still to be done. `partial` are the totals of the current batch's
    minibatches so far. `train_history` and `test_history` hold, for each batch done and each test, the epoch, the
    batch's number, the cases and the averaged costs. `best` is the lowest test error so far and the checkpoint that
    reached it.
    """

    epoch: int = 1
    batch_idx: int = 0
    batch_range: list[int] = field(default_factory=list)
    minibatches_done: int = 0
    test_due: bool = False
    tests_done: int = 0
    partial: dict[str, Any] = field(default_factory=dict)
    train_history: list[dict[str, Any]] = field(default_factory=list)
    test_history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of a checkpoint of this state. Later states have later names, in alphabetical order."""
        return f"{_PREFIX}{self.minibatches_done:09d}-tests-{self.tests_done:04d}"


@dataclass
class Checkpoint:
    """Everything that going on or testing needs.

    `layers`, `params`: the texts of the two files. `options`: those of training, as plain values; `given`: of them,
    those that came from the command line. `data`: what the data looked like. `statistics`: the mean and so on that the
    data was normalized with.
    """

    layers: str
    params: str
    options: dict[str, Any]
    given: dict[str, Any]
    data: dict[str, Any]
    state: TrainingState
    weights: dict[str, np.ndarray[Any, Any]]
    statistics: dict[str, np.ndarray[Any, Any]]

    def save(self, run: Path) -> Path:
        """Write into folder `run`; the checkpoint appears there whole or not at all.

        Raises:
            ConvnetError: if it cannot be written.
        """
        target = run / self.state.name
        if (target / STATE).is_file():
            return target  # nothing has happened since
        aside = run / f"{_ASIDE}{target.name}"
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            self._write(aside)
            aside.rename(target)
            _flush(run)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise ConvnetError(f"{target}: the checkpoint cannot be written: {error}") from error
        return target

    def _write(self, folder: Path) -> None:
        statistics = {_STATISTICS + name: np.ascontiguousarray(array) for name, array in self.statistics.items()}
        save_file({**self.weights, **statistics}, folder / WEIGHTS)
        described = {"format": FORMAT, "options": self.options, "given": self.given, "data": self.data,
                     "state": asdict(self.state)}  # fmt: skip
        (folder / STATE).write_text(json.dumps(described, indent=1), encoding="utf-8")
        (folder / LAYERS).write_text(self.layers, encoding="utf-8")
        (folder / PARAMS).write_text(self.params, encoding="utf-8")
        for name in (WEIGHTS, STATE, LAYERS, PARAMS, "."):
            _flush(folder / name)

    @staticmethod
    def load(path: Path) -> Checkpoint:
        """Read a checkpoint, or the newest one of a run.

        Raises:
            ConvnetError: if there is none at `path`, or it is damaged.
        """
        folder = newest(path)
        try:
            described = json.loads((folder / STATE).read_text(encoding="utf-8"))
            if described["format"] != FORMAT:
                raise ConvnetError(f"{folder / STATE}: expected format {FORMAT}, found {described['format']}")
            options, given, data = (_typed(name, described[name], dict) for name in ("options", "given", "data"))
            arrays = load_file(folder / WEIGHTS)
            return Checkpoint(
                layers=(folder / LAYERS).read_text(encoding="utf-8"),
                params=(folder / PARAMS).read_text(encoding="utf-8"),
                options=options, given=given, data=data, state=_state(described["state"]),
                weights={name: array for name, array in arrays.items() if not name.startswith(_STATISTICS)},
                statistics={name.removeprefix(_STATISTICS): array for name, array in arrays.items()
                            if name.startswith(_STATISTICS)},
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ConvnetError(f"{folder}: the checkpoint cannot be read: {error}") from error


def _state(values: dict[str, Any]) -> TrainingState:
    """The state from JSON; TypeError if a value is not of the type of its default."""
    state = TrainingState(**values)
    for name, default in asdict(TrainingState()).items():
        _typed(name, getattr(state, name), type(default))
    return state


def _typed(name: str, value: Any, expected: type) -> Any:
    if type(value) is not expected:
        raise TypeError(f"{name}: expected {expected.__name__}, found {value!r}")
    return value


def checkpoints(run: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(folder for folder in run.glob(f"{_PREFIX}*") if (folder / STATE).is_file())


def newest(path: Path) -> Path:
    """`path` itself if it is a checkpoint, else the newest checkpoint of the run `path`.

    Raises:
        ConvnetError: if it is neither.
    """
    try:
        if (path / STATE).is_file():
            return path if path.name else path.resolve()
        found, what = checkpoints(path), "no checkpoint" if path.exists() else "nothing"
    except OSError as error:  # such as a name that is too long
        raise ConvnetError(f"{path}: expected a run or a checkpoint: {error}") from error
    if not found:
        raise ConvnetError(f"{path}: expected a run or a checkpoint, found {what}")
    return found[-1]


def remove_old(run: Path, keep: int, best: str | None) -> None:
    """Keep the `keep` newest checkpoints of a run and the one called `best`; remove the others.

    Raises:
        ConvnetError: if one cannot be removed.
    """
    for folder in checkpoints(run)[:-keep]:
        if folder.name != best:
            _remove(folder)


def _remove(folder: Path) -> None:
    try:
        # A folder that is being removed must not be taken for a checkpoint: its state goes first.
        (folder / STATE).unlink()
        shutil.rmtree(folder)
    except OSError as error:
        raise ConvnetError(f"{folder}: the old checkpoint cannot be removed: {error}") from error


def remove_unfinished(run: Path) -> None:
    """Remove what a killed process left of a checkpoint it was writing or removing."""
    for folder in run.glob(f"{_ASIDE}*"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in run.glob(f"{_PREFIX}*"):
        if not (folder / STATE).is_file():
            shutil.rmtree(folder, ignore_errors=True)


def _flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
