"""Which of several ways to compute a step on a GPU is the fastest: timed once, and remembered.

A choice holds for one card, precision, operation, shapes, and content of the kernels. It is kept in a file of its own
in the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import platformdirs
import pycuda.driver as cuda

from convnet.backends.cuda.compiler import INCLUDE
from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch, Workspace
from convnet.errors import DeviceMemoryError

Prepare = Callable[..., Launch]  # takes the arrays

_REPEATS = 5
_known: dict[str, str] = {}


def choose(
    dev: CudaDevice, what: Sequence[Any], candidates: Mapping[str, Prepare], arrays: Sequence[GPUArray | None], *,
    by_rule: str, sources: Iterable[Path],
) -> Launch:  # fmt: skip
    """The launch of the fastest candidate, or, where nothing is to be timed, of the one `by_rule`.

    what: names the operation, its geometry and its options. arrays: the arguments of candidates; they are timed on
    others of the same shapes. sources: the kernels, whose change makes old choices void.
    """
    name = _fastest(dev, what, candidates, arrays, sources) if dev.tune and len(candidates) > 1 else None
    return candidates[name or by_rule](*arrays)


def _fastest(
    dev: CudaDevice, what: Sequence[Any], candidates: Mapping[str, Prepare], arrays: Sequence[GPUArray | None],
    sources: Iterable[Path],
) -> str | None:  # fmt: skip
    """The name of the fastest candidate, from memory, from disk or by timing; None if there is no room to time any."""
    shapes = [array is not None and (array.shape, str(array.dtype)) for array in arrays]
    key = repr((dev.name, dev.processors, dev.precision, *what, shapes, sorted(candidates), digest(sources)))
    name = _known.get(key) or _read(key)
    if name is None or name not in candidates:
        times = _time_all(dev, candidates, arrays)
        if not times:
            return None
        name = min(times, key=lambda each: times[each])
        _write(key, name, times)
    _known[key] = name
    return name


def digest(sources: Iterable[Path]) -> str:
    """Stands for the content of kernels and of all headers."""
    content = hashlib.sha256()
    for file in [*sorted(sources), *sorted(INCLUDE.glob("**/*.cuh"))]:
        content.update(file.read_bytes())
    return content.hexdigest()[:16]


def _time_all(
    dev: CudaDevice, candidates: Mapping[str, Prepare], arrays: Sequence[GPUArray | None]
) -> dict[str, float]:
    """Milliseconds of each candidate that the device has memory for, on arrays of zeros and a workspace of its own."""
    kept, dev.workspace = dev.workspace, Workspace(dev)
    try:
        scratch = [_alike(dev, array) for array in arrays]
        launches = {name: prepare(*scratch) for name, prepare in candidates.items()}
        times = {name: _time(dev, launch) for name, launch in launches.items()}
    except DeviceMemoryError:
        return {}
    finally:
        dev.workspace = kept
    return {name: time for name, time in times.items() if time is not None}


def _alike(dev: CudaDevice, array: GPUArray | None) -> GPUArray | None:
    return None if array is None else dev.array(dev.allocate(array.nbytes), 0, array.shape, array.dtype)


def _time(dev: CudaDevice, launch: Launch) -> float | None:
    """The shortest of some launches, in milliseconds, after one that compiles; None if memory is short."""
    try:
        launch()
    except DeviceMemoryError:
        return None
    events = [cuda.Event() for _ in range(_REPEATS + 1)]
    events[0].record(dev.stream)
    for event in events[1:]:
        launch()
        event.record(dev.stream)
    events[-1].synchronize()
    return min(after.time_since(before) for before, after in pairwise(events))


def _file(key: str) -> Path:
    folder = Path(platformdirs.user_cache_dir("convnet")) / "cuda"
    return folder / f"choice-{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


def _read(key: str) -> str | None:
    """The name of a choice made before; None if there is none or its file is broken."""
    try:
        held = json.loads(_file(key).read_text())
    except (OSError, ValueError):
        return None
    name = held.get("choice") if isinstance(held, dict) and held.get("key") == key else None
    return name if isinstance(name, str) else None


def _write(key: str, name: str, times: Mapping[str, float]) -> None:
    """Keep a choice; written aside, so that nobody reads half of it. Where nothing can be kept, it is made again."""
    target = _file(key)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=target.parent, prefix=target.stem)
        with os.fdopen(handle, "w") as file:
            json.dump({"key": key, "choice": name, "milliseconds": times}, file, indent=1)
        os.replace(aside, target)
    except OSError:
        return
