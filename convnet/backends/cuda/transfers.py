"""Copies between host and device, or two devices, that go on while kernels run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
        self._rooms: dict[tuple[object, ...], list[Array]] = {}  # pinned memory that is free, by shape and type

    def begin(self, source: GPUArray) -> Callable[[], Array]:
        """Copy an array after all work given so far; the returned function, called once, waits and gives the copy."""
        free = self._rooms.setdefault((source.shape, source.dtype), [])
        room = free.pop() if free else cuda.pagelocked_empty(source.shape, source.dtype)
        cuda.memcpy_dtoh_async(room, source.ptr, self._compute)
        done = cuda.Event(cuda.event_flags.DISABLE_TIMING)
        done.record(self._compute)

        def wait() -> Array:
            done.synchronize()
            values = np.array(room)
            free.append(room)
            return values

        return wait


@dataclass
class End:
    """One of the two devices of a copy: its stream, and what makes its context the current one."""

    stream: Any
    activate: Callable[[], None]

    def mark(self) -> Any:
        """An event that can be recorded in the stream."""
        self.activate()
        return cuda.Event(cuda.event_flags.DISABLE_TIMING)


class PeerCopy:
    """Copies from one device to another, in the order of both streams.

    The copy waits for what the sender was given before it, and the sender waits for the copy: what is copied may be
    overwritten afterwards. The driver takes the direct way between the devices where there is one.
    """

    def __init__(self, sender: End, receiver: End) -> None:
        self._sender, self._receiver = sender, receiver
        self._ready, self._copied = sender.mark(), receiver.mark()

    def run(self, source: GPUArray, target: GPUArray) -> None:
        """Put the copy into the streams."""
        self._sender.activate()
        self._ready.record(self._sender.stream)
        self._receiver.activate()
        self._receiver.stream.wait_for_event(self._ready)
        cuda.memcpy_dtod_async(target.ptr, source.ptr, source.nbytes, self._receiver.stream)
        self._copied.record(self._receiver.stream)
        self._sender.activate()
        self._sender.stream.wait_for_event(self._copied)
