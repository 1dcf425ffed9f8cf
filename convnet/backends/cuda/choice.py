"""Which of several ways to compute a step on a GPU is the fastest; see convnet.backends.choice.

A choice holds for one kind of card, precision, operation, shapes, and content of the kernels. A device opened with
tune=False goes by rule, the same at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pycuda.driver as cuda

from convnet.backends.choice import Choices
from convnet.backends.cuda import cache
from convnet.backends.cuda.compiler import headers
from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch, Workspace
from convnet.errors import DeviceMemoryError

Prepare = Callable[..., Launch]  # takes the arrays

_REPEATS = 5
CHOICES = Choices()


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
    name = CHOICES.take(
        cache.folder(), key, candidates, lambda: _time_all(dev, candidates, arrays), by_rule=by_rule
    )  # fmt: skip
    return candidates[name](*arrays)


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
