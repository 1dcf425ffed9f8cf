"""Copies between host and device that go on while kernels run."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pycuda.driver as cuda
from pycuda.gpuarray import GPUArray

Array = np.ndarray[Any, Any]


class Room:
    """Room for one array on its way: in the host's pinned memory, and in `block`, of the device.

    It may be used as soon as the compute stream has come to where it stands now: it may still be clearing the block.
    """

    def __init__(self, block: Any, size: int, compute: Any) -> None:
        self.host = cuda.pagelocked_empty(size, np.uint8)
        self.device = block
        self.arrived, self.free = (cuda.Event(cuda.event_flags.DISABLE_TIMING) for _ in range(2))
        self.free.record(compute)


class Feeder:
    """Brings minibatches to one array of a device, the next one while the present one is used.

    The array is part of the net's memory and is read until the end of a step. A minibatch therefore travels to a room
    of its own, on a stream of its own, and is copied from there in its turn.
    """

    def __init__(self, rooms: Sequence[Room], compute: Any, upload: Any, activate: Callable[[], None]) -> None:
        self._compute, self._upload, self._activate = compute, upload, activate
        self._rooms = cycle(rooms)

    def send(self, source: Array, target: GPUArray) -> None:
        """Copy `source` into `target`, in the order of the compute stream; `source` may change after this returns."""
        self._activate()
        room = next(self._rooms)
        room.free.synchronize()
        host = room.host[: target.nbytes].view(target.dtype).reshape(target.shape)
        np.copyto(host, source, casting="same_kind")
        cuda.memcpy_htod_async(room.device, host, self._upload)
        room.arrived.record(self._upload)
        self._compute.wait_for_event(room.arrived)
        cuda.memcpy_dtod_async(target.ptr, int(room.device), target.nbytes, self._compute)
        room.free.record(self._compute)


class Fetches:
    """Brings small arrays back to the host without holding up the stream."""

    def __init__(self, compute: Any) -> None:
        self._compute = compute
        self._pool = cuda.PageLockedMemoryPool()
        atexit.register(self._pool.stop_holding)  # while there still is a context to free it in

    def begin(self, source: GPUArray) -> Callable[[], Array]:
        """Copy an array after all work given so far; the returned function waits for the copy and gives it."""
        room = self._pool.allocate(source.shape, source.dtype)
        cuda.memcpy_dtoh_async(room, source.ptr, self._compute)
        done = cuda.Event(cuda.event_flags.DISABLE_TIMING)
        done.record(self._compute)

        def wait() -> Array:
            done.synchronize()
            return np.array(room)

        return wait
