"""The lines that `convnet train` begins with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convnet.training.options import merged, to_plain
from convnet.training.session import NetFiles, Session
from convnet.training.trainer import Trainer

from .rates import rates_in_words

_MOST_NAMES = 12  # of classes, in one line


def header(trainer: Trainer, *, continued: bool) -> list[str]:
    """What is trained on what, and where the run lies; for a run that goes on, also what is not as it was."""
    session, net, batches = trainer.session, trainer.net, trainer.batches
    lines = [f"data: {session.provider.describe()}"]
    if session.provider.sample:
        lines.append("      (--data PATH trains on your own)")
    lines += _classes(session.provider.label_names)
    lines.append(
        f"net:  {_files(session.files)}, {session.graph.size:,} parameters, minibatches of {net.mini}, "
        f"on {_devices(net.devices)}"
    )
    lines += _fitted(session)
    amounts = _counted(batches.epochs, "epoch", "s"), _counted(len(batches.batch_range), "data batch", "es")
    lines.append(f"run:  {trainer.run}, {' of '.join(amounts)}")
    lines.append(f"rates: {rates_in_words(trainer.rates())}")
    if continued:
        lines += _changed(session)
    if net.store.backend == "cpu" and _nothing_compiled():
        lines.append("compiling kernels for this machine; later runs start at once")
    return lines


def _files(files: NetFiles) -> str:
    """The layer file, and the parameter file that was taken with it."""
    return files.layers.path if files.params is None else f"{files.layers.path} with {files.params.path}"


def _counted(number: int, what: str, ending: str) -> str:
    return f"{number} {what}{'' if number == 1 else ending}"


def _devices(devices: Sequence[Any]) -> str:
    """The device, or those that stand for several GPUs."""
    return ", ".join(map(str, devices))


def _classes(names: list[str]) -> list[str]:
    if not 0 < len(names) <= _MOST_NAMES:
        return []
    # The name of a folder may hold anything.
    return ["classes: " + ", ".join(name if name.isprintable() else ascii(name) for name in names)]


def _fitted(session: Session) -> list[str]:
    """Whether the net got other outputs than its layer file says, because of the built-in sample."""
    now, usual = session.options["classes"], session.files.classes
    asked = session.given.get("classes") is not None or session.files.options.get("classes") is not None
    if not session.provider.sample or asked or now in (None, usual):
        return []
    return [f"      {now} outputs for the sample's {now} classes instead of the layer file's {usual}"]


def _changed(session: Session) -> list[str]:
    before, now = to_plain(merged(session.files.options)), to_plain(session.options)
    changes = [f"{name} {_shown(before[name])} -> {_shown(now[name])}" for name in now if before[name] != now[name]]
    return [f"changed: {', '.join(changes)}"] if changes else []


def _shown(value: Any) -> str:
    if isinstance(value, list):  # a range of batches
        return str(value[0]) if len(value) == 1 else f"{value[0]}-{value[-1]}"
    return "unset" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _nothing_compiled() -> bool:
    # The backend is loaded by now: the net is on its device.
    from convnet.backends.cpu.jit import cache_folder

    return not any(cache_folder().rglob("*.nbi"))
