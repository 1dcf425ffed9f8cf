"""What a device can do, measured: how fast it multiplies matrices and copies memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convnet import ops
from convnet.backends import Device

_SIDES = tuple(2**n for n in range(8, 14))  # of square matrices
_COPIED = (2**20, 2**23, 2**25)  # numbers
_ROW = 256  # numbers of which all these sizes are multiples
_LONG = 0.02  # seconds beside which the way to the device is short
_SECONDS = 0.3  # to measure for
_FEWEST = 3  # measurements


@dataclass(frozen=True)
class DeviceRates:
    """The most that was seen of a device: 10^9 additions and multiplications, and 10^9 bytes, a second.

    gemm_gflops: of a product of square matrices, of the type and precision of activations. copy_gbs: of a copy that no
    cache holds, what is read and what is written counted both.
    """

    gemm_gflops: float
    copy_gbs: float


def device_rates(device: Device) -> DeviceRates:
    """Measure a device that has nothing else to do; takes less than a second, and some memory meanwhile."""
    dtype = device.types(np.dtype(np.float32)).activations

    def gemm(side: int) -> Callable[[], None]:
        x, w, y = (_filled(device, (side, side), dtype) for _ in range(3))
        launch = ops.load("matmul", device.backend).fprop(device, x, w, None, y, accumulate=False, neuron=None)
        return device.in_turn(launch)

    def copy(numbers: int) -> Callable[[], None]:
        x, y = (_filled(device, (1, numbers), dtype) for _ in range(2))
        launch = ops.load("eltwise", device.backend).scale(device, x, y, coeff=1.0, accumulate=False)
        return device.in_turn(launch)

    itemsize = dtype.itemsize
    side, gemm_seconds = _fastest(device, gemm, _fitting(device, _SIDES, lambda side: 3 * side**2 * itemsize))
    numbers, copy_seconds = _fastest(device, copy, _fitting(device, _COPIED, lambda numbers: 2 * numbers * itemsize))
    return DeviceRates(2e-9 * side**3 / gemm_seconds, 2e-9 * numbers * itemsize / copy_seconds)


def _fitting(device: Device, sizes: Sequence[int], needed: Callable[[int], int]) -> list[int]:
    """Those that need no more than half of the memory that is free, of which operations take some too; at least one."""
    free = device.free_memory()
    return [size for size in sizes if free is None or size == sizes[0] or needed(size) <= free / 2]


def _filled(device: Device, shape: tuple[int, int], dtype: np.dtype[Any]) -> Any:
    """A new array of normal numbers: memory that nobody has written to may be one page of zeros many times over."""
    numbers = math.prod(shape)
    block = device.allocate(numbers * dtype.itemsize)
    row, rows = np.random.default_rng(0).standard_normal(_ROW, np.float32), (numbers // _ROW, _ROW)
    device.upload(np.broadcast_to(row, rows), device.array(block, 0, rows, dtype))
    return device.array(block, 0, shape, dtype)


def _fastest(device: Device, prepare: Callable[[int], Callable[[], None]], sizes: Sequence[int]) -> tuple[int, float]:
    """The first size at which a launch takes long, or the last one, and its seconds at best."""
    for size in sizes:
        launch = prepare(size)
        _seconds(device, launch, 1)  # compiles
        once = _seconds(device, launch, 1)
        if once >= _LONG:
            break
    in_a_row = max(1, round(_LONG / once))
    found, end = list[float](), time.perf_counter() + _SECONDS
    while len(found) < _FEWEST or time.perf_counter() < end:
        found.append(_seconds(device, launch, in_a_row))
    return size, min(found)


def _seconds(device: Device, launch: Callable[[], None], times: int) -> float:
    """The seconds of each of some launches in a row."""
    began = time.perf_counter()
    for _ in range(times):
        launch()
    device.finish()
    return (time.perf_counter() - began) / times
