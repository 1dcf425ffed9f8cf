"""Runs: a folder each, begun from a net's files or continued from a checkpoint."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convnet.backends import Device, DeviceOptions, open_devices
from convnet.data import NoSuchDataError
from convnet.errors import ConvnetError, DeviceMemoryError
from convnet.graph.layer_graph import LayerGraph
from convnet.net import ConvNet
from convnet.net.ahead import compile_ahead
from convnet.training.checkpoint import Checkpoint, TrainingState, checkpoints, newest
from convnet.training.fitting import fit_to_checkpoint, note_changes, without_old_data
from convnet.training.memory import check_memory, too_large
from convnet.training.options import from_plain, laid_over
from convnet.training.session import Session, open_session, read_files, stored_files
from convnet.training.surgery import NOTHING, Surgery, operate
from convnet.training.trainer import Trainer

Array = np.ndarray[Any, Any]


def new_run(
    layers: str, params: str | None, given: Mapping[str, Any], save_path: Path, device: DeviceOptions
) -> Trainer:
    """A trainer for a new run of the net with these files, in a new folder below `save_path`.

    given: the options that were set by name; the [train] section has the others.

    Raises:
        ConvnetError: if files, options or data are wrong. Nothing has been written then.
    """
    files = read_files(layers, params)
    _check_folder(save_path)
    session = open_session(files, dict(given), device.number)
    net = open_net(session, device)
    trainer = Trainer(session, net, save_path, TrainingState())
    trainer.run = run_folder(save_path, Path(files.layers.path).stem)  # last: mistakes leave nothing behind
    return trainer


def continued_run(
    path: Path, params: str | None, given: Mapping[str, Any], device: DeviceOptions, surgery: Surgery = NOTHING,
    save_path: Path | None = None,
) -> Trainer:  # fmt: skip
    """A trainer that goes on from a checkpoint, or from the newest one of a run.

    From the newest checkpoint the run itself goes on; from an older one, from one outside a run, or with a changed net
    (`surgery`), a new run begins beside it or below `save_path`, so that nothing is overwritten.

    Raises:
        ConvnetError: if there is no checkpoint, files, options or data do not fit it, or `save_path` is given for a run
            that goes on.
    """
    folder = newest(path)
    if save_path is not None:
        _check_elsewhere(folder, save_path, changed=surgery.asked)
    checkpoint, changes = operate(Checkpoint.load(folder), folder, surgery)
    session = reopened_session(checkpoint, folder, params, given, device)
    for change in changes:
        session.files.report.note(change)
    note_changes(session.provider, checkpoint, session.files.report)
    state = checkpoint.state
    if state.epoch > session.options["epochs"] and not state.test_due:
        raise ConvnetError(f"{folder}: all {session.options['epochs']} epochs are done; --epochs asks for more")
    net = open_net(session, device, initial=False)
    load_weights(net, checkpoint, folder)
    trainer = Trainer(session, net, folder.parent, state)
    trainer.run = _run_from(folder, save_path, changed=surgery.asked)  # last: mistakes leave nothing behind
    if trainer.run != folder.parent:
        state.best = {}  # that checkpoint is not one of the new run's
    return trainer


def reopened_session(
    checkpoint: Checkpoint, folder: Path, params: str | None, given: Mapping[str, Any], device: DeviceOptions
) -> Session:
    """The session of a checkpoint, with what the command line gives now.

    Raises:
        ConvnetError: if files, options or data are wrong, or do not fit the checkpoint.
    """
    files = stored_files(checkpoint, folder, params)
    now = dict(given)
    files.options = without_old_data(files.options, now)
    then = without_old_data(from_plain(checkpoint.given), now)
    try:
        session = open_session(files, laid_over(then, now), device.number)
    except NoSuchDataError as error:
        if "data" in now:
            raise
        raise ConvnetError(f"{error}; --data names its new place") from error
    fit_to_checkpoint(session.provider, checkpoint, folder, files.report)
    return session


def _goes_on(folder: Path, *, changed: bool) -> bool:
    """Whether a checkpoint's own run goes on from it: if it is the newest there and not changed."""
    return checkpoints(folder.parent)[-1:] == [folder] and not changed


def _check_elsewhere(folder: Path, save_path: Path, *, changed: bool) -> None:
    """Raises ConvnetError if what goes on from a checkpoint cannot lie below `save_path`."""
    if _goes_on(folder, changed=changed):
        raise ConvnetError(f"--save-path: a run that goes on stays in its folder, {folder.parent}")
    _check_folder(save_path)


def _run_from(folder: Path, save_path: Path | None, *, changed: bool) -> Path:
    """The run that goes on from a checkpoint: its own, or a new one, beside it unless there is a `save_path`."""
    if _goes_on(folder, changed=changed):
        return folder.parent
    if folder not in checkpoints(folder.parent):
        return run_folder(save_path or folder.parent, f"from-{folder.name}")
    run = folder.parent.resolve()
    return run_folder(save_path or run.parent, f"{run.name.split('-from-')[0]}-from-{folder.name}")


def open_net(session: Session, device: DeviceOptions, *, initial: bool = True) -> ConvNet:
    """The session's net on its devices, with initial weights unless a checkpoint's will follow.

    Raises:
        ConvnetError: if there are no such devices, or the net does not fit into their memory.
    """
    graph, mini, seed = session.graph, session.options["mini"], session.options["seed"]
    devices = open_devices(device, graph.devices)
    if initial:  # a new run: one that goes on, and tests, find compiled what it ran with
        compile_ahead(graph, devices)
    return net_on(graph, devices, mini=mini, seed=seed, initial=initial, mean=session.provider.subtracted)


def net_on(
    graph: LayerGraph, devices: Sequence[Device], *, mini: int, seed: int, initial: bool = True,
    mean: Array | None = None,
) -> ConvNet:  # fmt: skip
    """The net of a graph on open devices; the arguments are those of `ConvNet`.

    Raises:
        ConvnetError: if it does not fit into their memory.
    """
    check_memory(graph, mini, devices, pixels=mean is not None)
    try:
        return ConvNet(graph, devices, mini=mini, seed=seed, initial=initial, mean=mean)
    except DeviceMemoryError as error:
        full = error.device
    # Here the error is gone, and with it the half-made net that it held: its memory is free again.
    raise too_large(graph, mini, devices, full, pixels=mean is not None)


def load_weights(net: ConvNet, checkpoint: Checkpoint, folder: Path) -> None:
    """Give a net the weights of a checkpoint.

    Raises:
        ConvnetError: if they are not the weights of this net.
    """
    for parameter in net.graph.parameters:
        for name in parameter.saved.values():
            found = checkpoint.weights.get(name)
            if found is None or found.shape != parameter.matrix.shape:
                shape = "nothing" if found is None else found.shape
                raise ConvnetError(f"{folder}: expected '{name}' of shape {parameter.matrix.shape}, found {shape}")
    try:
        net.set_state(checkpoint.weights)
    except ValueError as error:
        raise ConvnetError(f"{folder}: {error}") from error


def _check_folder(save_path: Path) -> None:
    """Raises ConvnetError if no folder can be made at or below `save_path`: better now than at the first checkpoint."""
    try:
        existing = next(path for path in (save_path, *save_path.absolute().parents) if path.exists())
    except OSError as error:
        raise ConvnetError(f"--save-path: {error}") from error
    if not existing.is_dir():
        raise ConvnetError(f"--save-path: expected a folder, but {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConvnetError(f"--save-path: {existing} cannot be written to")


def run_folder(save_path: Path, name: str) -> Path:
    """Make a folder for a new run, one that no other run has.

    Raises:
        ConvnetError: if it cannot be made.
    """
    stem = f"{name}-{time.strftime('%Y-%m-%d_%H.%M.%S')}"
    for number in itertools.count(1):
        folder = save_path / (stem if number == 1 else f"{stem}.{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue  # a run of this second
        except OSError as error:
            raise ConvnetError(f"{folder}: the run's folder cannot be made: {error}") from error
        break
    return folder
