"""What tests set and ask of the virtual GPU. Call start() first."""

from __future__ import annotations

import ctypes
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple
from unittest import mock

from tests.virtual_gpu.activation import start


class Order(IntEnum):
    """In which order the threads of a block, the blocks of a launch, or the streams of a context take turns."""

    ASCENDING = 0
    DESCENDING = 1
    SHUFFLED = 2


class Alive(NamedTuple):
    """Something of a driver's that was made and not yet given back."""

    what: str  # "device memory", "pinned memory", "stream", "event", "module", "context", "primary context"
    device: int
    size: int  # bytes, of memory


@contextmanager
def orders(threads: Order = Order.ASCENDING, blocks: Order = Order.ASCENDING, seed: int = 1) -> Iterator[None]:
    """Runs threads and blocks in these orders. `blocks` is also that of streams that a whole context waits for."""
    with _setting("thread_order", threads), _setting("block_order", blocks), _setting("seed", seed):
        yield


@contextmanager
def immediate() -> Iterator[None]:
    """Runs what is given to a stream at once, not when somebody waits for it."""
    with _setting("late", 0):
        yield


@contextmanager
def lenient_barriers() -> Iterator[None]:
    """Lets __syncthreads wait for those threads only that have not returned."""
    with _setting("strict_barriers", 0):
        yield


@contextmanager
def races() -> Iterator[None]:
    """Looks for data races in kernels that are compiled and run within it; PyCUDA keeps none of them on disk."""
    # The setting first: the driver looks at the environment when it is asked for the first time.
    with _setting("races", 1), mock.patch.dict(os.environ, VIRTUAL_GPU_RACES="1", PYCUDA_DISABLE_CACHE="1"):
        yield


@contextmanager
def devices(count: int) -> Iterator[None]:
    """Lets programs see this number of devices."""
    with _setting("devices", count):
        yield


@contextmanager
def memory(size: int, device: int = 0) -> Iterator[None]:
    """Gives a device this many bytes of memory, whatever is allocated already."""
    function = _function("virtual_gpu_set_memory", ctypes.c_size_t, ctypes.c_int, ctypes.c_size_t)
    before = function(device, size)
    try:
        yield
    finally:
        function(device, before)


@contextmanager
def capability(number: int, device: int = 0) -> Iterator[None]:
    """Gives a device a compute capability such as 90."""
    function = _function("virtual_gpu_set_capability", ctypes.c_int, ctypes.c_int, ctypes.c_int)
    before = function(device, number)
    try:
        yield
    finally:
        function(device, before)


def pending() -> int:
    """How many operations were given to streams and have not run."""
    count: int = _function("virtual_gpu_pending", ctypes.c_size_t)()
    return count


def launches() -> int:
    """How many kernels have run."""
    count: int = _function("virtual_gpu_launches", ctypes.c_uint64)()
    return count


def last_fault() -> str:
    """What was wrong with the last kernel that failed: the line that went to stderr."""
    return _text("virtual_gpu_last_fault")


def alive() -> Counter[Alive]:
    """What is allocated or open on all devices."""
    lines = (line.split("\t") for line in _text("virtual_gpu_alive").splitlines())
    return Counter(Alive(what, int(device), int(size)) for what, device, size in lines)


@contextmanager
def no_leaks() -> Iterator[None]:
    """Fails if there is more on the devices afterwards than there was before.

    Raises:
        AssertionError: with a list of what is left.
    """
    before = alive()
    yield
    left = alive() - before
    assert not left, f"left on the devices: {dict(left)}"


@contextmanager
def _setting(name: str, value: int) -> Iterator[None]:
    function = _function(f"virtual_gpu_set_{name}", ctypes.c_int, ctypes.c_int)
    before = function(value)
    try:
        yield
    finally:
        function(before)


def _text(name: str) -> str:
    function = _function(name, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
    room = ctypes.create_string_buffer(function(None, 0) + 1)
    function(room, len(room))
    return room.value.decode()


@cache
def _function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_library(), name)
    function.restype, function.argtypes = result, list(arguments)
    return function


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(str(start() / "lib" / "libcuda.so.1"))
