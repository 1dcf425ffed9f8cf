"""Which of several ways to compute a step on the CPU is the fastest; see convnet.backends.choice.

Ways are timed on one thread, so that every number of threads leads to the same choice. One kind of processor, one
content of the kernels, and the shapes decide. A device opened with tune=False goes by rule, the same at any time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import llvmlite.binding
import numba
import numpy as np

from convnet.backends.choice import Choices
from convnet.backends.cpu.device import CpuDevice, Launch
from convnet.backends.cpu.jit import cache_folder

Prepare = Callable[..., Launch]  # takes a device and the arrays by name

CHOICES = Choices()

_REPEATS = 5
_FEWEST, _CLEAR = 2, 0.8  # repeats after which nothing more is timed if the first takes so much of the second's time
_MARGIN = 0.95  # what another way must be better by, so that chance decides less


def choose(
    dev: CpuDevice, what: Sequence[Any], ways: Mapping[str, Prepare], shapes: Mapping[str, tuple[int, ...]],
    dtype: np.dtype[Any], *, by_rule: str,
) -> str:  # fmt: skip
    """The name of the fastest way; of the one `by_rule` if the device is not to be tuned.

    what: names the operation, its geometry and its options. shapes: of the arrays that ways are timed on.
    """
    if not dev.tune:
        return by_rule
    processor = numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name(), numba.config.CPU_FEATURES
    key = repr((processor, *what, dict(shapes), str(dtype), sorted(ways)))
    return CHOICES.take(
        cache_folder(), key, ways, lambda: _time_all(ways, shapes, dtype), by_rule=by_rule, margin=_MARGIN
    )  # fmt: skip


def _time_all(
    ways: Mapping[str, Prepare], shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any]
) -> dict[str, float]:
    """The milliseconds of the shortest of some launches of each way, taken in turn, on arrays of ones.

    Nothing where there is no memory for it.
    """
    dev = CpuDevice(threads=1)
    try:
        arrays = {name: np.ones(shape, dtype) for name, shape in shapes.items()}
        return _times({name: prepare(dev, **arrays) for name, prepare in ways.items()})
    except MemoryError:
        return {}


def _times(launches: Mapping[str, Launch]) -> dict[str, float]:
    """As `_time_all`, of launches that are prepared."""
    times = dict.fromkeys(launches, math.inf)
    for repeat in range(_REPEATS + 1):
        for name, launch in launches.items():
            began = time.perf_counter()
            launch()
            if repeat:  # the first one compiles
                times[name] = min(times[name], 1000 * (time.perf_counter() - began))
        first, *others = sorted(times.values())
        if repeat >= _FEWEST and first < _CLEAR * min(others):
            break
    return times
