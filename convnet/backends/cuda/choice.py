"""Which of several ways to compute a step on a GPU is the fastest: timed once, and remembered.

A choice holds for one kind of card, precision, operation, shapes, and content of the kernels. It is kept in a file of
its own in the cache.

Ways add up in different orders, so that their results differ in the last bits. The same work on the same kind of card
gives the same bits as long as the same choices are taken. Within a process they always are. Another process may choose
otherwise

- if the cache was cleared, or cannot be written to: it times again, and of two ways nearly as fast, either may win;
- if a process lacked the memory to time any way: it goes by rule to its end, and writes nothing down. Where it lacked
  the memory for some ways only, the fastest of the others is written down like any choice.

A device opened with tune=False goes by rule, the same at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pycuda.driver as cuda

from convnet.backends.cuda import cache
from convnet.backends.cuda.compiler import headers
from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch, Workspace
from convnet.errors import DeviceMemoryError

Prepare = Callable[..., Launch]  # takes the arrays

_REPEATS = 5
_known: dict[str, str] = {}  # what this process has chosen; never another one again


def choose(
    dev: CudaDevice, what: Sequence[Any], candidates: Mapping[str, Prepare], arrays: Sequence[GPUArray | None], *,
    by_rule: str, sources: Iterable[Path],
) -> Launch:  # fmt: skip
    """The launch of the fastest candidate; of the one `by_rule` if the device is not to be tuned or lacks the memory.

    what: names the operation, its geometry and its options. arrays: the arguments of candidates; they are timed on
    others of the same shapes. sources: the kernels, whose change makes old choices void.
    """
    if not dev.tune or len(candidates) == 1:
        return candidates[by_rule](*arrays)
    shapes = [array is not None and (array.shape, str(array.dtype)) for array in arrays]
    content = cache.digest("", [*sorted(sources), *headers()])
    key = repr((dev.name, dev.processors, dev.precision, *what, shapes, sorted(candidates), content))
    if key not in _known:
        _known[key] = _kept(key, candidates) or _fastest(dev, key, candidates, arrays) or by_rule
    return candidates[_known[key]](*arrays)


def _fastest(
    dev: CudaDevice, key: str, candidates: Mapping[str, Prepare], arrays: Sequence[GPUArray | None]
) -> str | None:
    """The name of the fastest candidate, which is then kept on disk; None if there is no memory to time any."""
    times = _time_all(dev, candidates, arrays)
    if not times:
        return None
    name = min(times, key=lambda each: times[each])
    _keep(key, name, times)
    return name


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
    return cache.folder() / f"choice-{cache.digest(key)}.json"


def _kept(key: str, candidates: Mapping[str, Prepare]) -> str | None:
    """The name of a candidate chosen before; None if there is none or its file is broken."""
    try:
        held = json.loads(_file(key).read_text())
    except (OSError, ValueError):
        return None
    name = held.get("choice") if isinstance(held, dict) and held.get("key") == key else None
    return name if isinstance(name, str) and name in candidates else None


def _keep(key: str, name: str, times: Mapping[str, float]) -> None:
    """Write a choice down. Where nothing can be written, the next process chooses anew."""
    try:
        with cache.written_aside(_file(key)) as aside:
            aside.write_text(json.dumps({"key": key, "choice": name, "milliseconds": times}, indent=1))
    except OSError:
        return
