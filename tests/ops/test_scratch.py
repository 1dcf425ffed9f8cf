"""What holds for the scratch arrays of every kernel: they are as large as the kernel needs, and make np.empty needless.

The calls are those of test_contracts, and some under which a size that is one too small is used to its last number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import Array, CpuDevice, Launch, Scratch
from convnet.backends.cpu.memory import aligned_bytes, array_at
from convnet.ops.conv import ConvGeometry
from convnet.ops.local import LocalGeometry
from convnet.ops.rnorm import Normalization
from convnet.shape import Maps
from tests.backends.counting import CountingDevice

from .test_contracts import CALLS, FUNCTIONS, TANH, Arguments, Numbers, X, arrays_of, call

_GUARD = 64  # bytes
_WIDE = Maps(4, 12, 13)  # windows of 2x2: 16 numbers, which are not padded
_CONV = ConvGeometry(_WIDE, 5, 2, 0, 1, 1, 11, 12)
_LOCAL = LocalGeometry(_WIDE, 5, 2, 0, 4, 1, 3, 3)
_CASES = 256  # of local: many tiles
_LARGE, _SMALL = (3, 11, 12, 5), (_CASES, 3, 3, 5)
_BLOCKED = Normalization(4, 0.9, 0.75, 1.5, blocked=True)

MORE: dict[str, Callable[[Numbers], Arguments]] = {
    "cmrnorm.fprop blocked": lambda r: call(r(*X), r(*X), _BLOCKED),
    "cmrnorm.bprop blocked": lambda r: call(r(*X), r(*X), r(*X), _BLOCKED, accumulate=False),
    "conv.fprop unpadded": lambda r: call(
        r(3, 12, 13, 4), r(16, 5), None, r(*_LARGE), _CONV, accumulate=False, neuron=TANH
    ),
    "conv.bprop_acts unpadded": lambda r: call(r(*_LARGE), r(16, 5), r(3, 12, 13, 4), _CONV, accumulate=False),
    "conv.bprop_weights unpadded": lambda r: call(r(3, 12, 13, 4), r(*_LARGE), r(16, 5), _CONV, accumulate=False),
    "local.fprop unpadded": lambda r: call(
        r(_CASES, 12, 13, 4), r(144, 5), None, r(*_SMALL), _LOCAL, accumulate=False, neuron=TANH
    ),
    "local.bprop_acts unpadded": lambda r: call(
        r(*_SMALL), r(144, 5), r(_CASES, 12, 13, 4), _LOCAL, accumulate=False
    ),
    "local.bprop_weights unpadded": lambda r: call(
        r(_CASES, 12, 13, 4), r(*_SMALL), r(144, 5), _LOCAL, accumulate=False
    ),
    "layout.convert of maps to maps": lambda r: call(r(*X), Maps(6, 13, 11), r(13, 2, 13, 33), Maps(33, 2, 13),
                                                     accumulate=True),
    "neuron.bprop of whole blocks": lambda r: call(r(3, 4096), r(3, 4096), r(3, 4096), TANH, accumulate=False),
}  # fmt: skip
ALL = {**CALLS, **MORE}


class GuardedDevice(CpuDevice):
    """A device whose scratch arrays begin as NaN and lie between bytes that kernels must leave as they are."""

    def parallel(self, kernel: Callable[..., None], items: int, *arguments: Any, **how: Any) -> Any:
        self._guarded: list[tuple[int, Array]] = []  # the place of an argument, and all bytes around it
        launch, guarded = super().parallel(kernel, items, *arguments, **how), self._guarded

        def watched() -> None:
            for _, room in guarded:
                room[:] = 0xFF  # NaN, of either type
            launch()
            for place, room in guarded:
                assert (room[:_GUARD] == 0xFF).all(), f"written before argument {place}"
                assert (room[-_GUARD:] == 0xFF).all(), f"written behind argument {place}"

        return watched

    def _with_scratch(self, parts: int, arguments: tuple[Any, ...]) -> list[list[Any]]:
        return [[self._guard(*argument) for argument in enumerate(arguments)] for _ in range(parts)]

    def _guard(self, place: int, argument: Any) -> Any:
        if not isinstance(argument, Scratch):
            return argument
        size = int(np.prod(argument.shape)) * np.dtype(argument.dtype).itemsize
        room = aligned_bytes(size + 2 * _GUARD)
        self._guarded.append((place, room))
        return array_at(room, _GUARD, argument.shape, argument.dtype)


def launch_of(name: str, dev: CpuDevice, dtype: Any) -> tuple[Launch, list[Array]]:
    """The launch of a call on numbers of a type, and all its arrays."""
    generator = np.random.default_rng(22)
    arguments, keywords = ALL[name](lambda *shape: generator.normal(size=shape).astype(dtype))
    return FUNCTIONS[name.partition(" ")[0]](dev, *arguments, **keywords), arrays_of(arguments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ALL)
def test_kernels_stay_inside_their_scratch_and_find_nothing_there(name: str, dtype: Any) -> None:
    results = []
    for dev in (CpuDevice(threads=1), GuardedDevice(threads=2)):
        launch, arrays = launch_of(name, dev, dtype)
        launch()
        results.append([array.tobytes() for array in arrays])
    assert results[0] == results[1]


@pytest.mark.parametrize("name", ALL)
def test_kernels_allocate_nothing(name: str) -> None:
    dev = CountingDevice(threads=2)
    launch, _ = launch_of(name, dev, np.float32)
    launch()
    assert dev.allocations(launch) == 0
