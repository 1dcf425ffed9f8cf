"""Memory of a CPU device: aligned blocks, and what launches share because they run one after the other."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
# Bytes behind the memory of a thread; they are never touched. BLAS and the processor read ahead of what they compute
# with, and one core then takes from another the lines that this writes. Measured on two threads: nearer than 4 KiB,
# neurons' gradients take a third longer; nearer than 64 KiB, those of filters a tenth; than 128 KiB, those of maps 5 %.
APART = 1 << 18


def aligned_bytes(size: int) -> Array:
    """`size` zeroed bytes that begin at a multiple of 64. Raises MemoryError if they are not to be had."""
    if size > sys.maxsize - _ALIGNMENT:  # of which NumPy says something else than of less
        raise MemoryError(f"{size:,} bytes needed")
    raw = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size]


def array_at(block: Array, start: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """The array of this shape and type that begins `start` bytes into a block."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return block[start : start + size].view(dtype).reshape(shape)


@dataclass(frozen=True)
class Scratch:
    """An array of arbitrary content, one for each thread of a launch, that begins at a multiple of 64 bytes.

    Stands among the arguments of `CpuDevice.parallel`, so that kernels need not allocate. If it stands there twice,
    each thread gets two arrays.
    """

    shape: tuple[int, ...]
    dtype: Any

    @property
    def span(self) -> int:
        """Bytes that it takes up: whole cache lines."""
        size = math.prod(self.shape) * np.dtype(self.dtype).itemsize
        return -(-size // _ALIGNMENT) * _ALIGNMENT


class SharedMemory:
    """Memory that launches of one device take turns to use: as large as the largest reservation."""

    def __init__(self, apart: int = 0) -> None:
        """apart: bytes behind it that are never touched."""
        self._size, self._apart = 0, apart
        self._block = aligned_bytes(0)

    def reserve(self, shape: tuple[int, ...], dtype: Any, start: int = 0) -> Reservation:
        """Ask for room for an array that begins `start` bytes into the memory."""
        reservation = Reservation(self, start, shape, dtype)
        self._size = max(self._size, reservation.stop)
        return reservation

    def grown(self) -> Array:
        """The memory, a new one if more has been reserved since the last call."""
        if self._size and self._block.size < self._size + self._apart:
            self._block = aligned_bytes(self._size + self._apart)
        return self._block


class Reservation:
    """Room for an array, from byte `start` to `stop` of a memory. Calling it gives the array, of arbitrary content."""

    def __init__(self, memory: SharedMemory, start: int, shape: tuple[int, ...], dtype: Any) -> None:
        self._memory, self._shape, self._dtype = memory, shape, dtype
        self.start, self.stop = start, start + math.prod(shape) * np.dtype(dtype).itemsize
        self._seen = self._array = aligned_bytes(0)

    def __call__(self) -> Array:
        """The array; another one when the memory has grown."""
        block = self._memory.grown()
        if block is not self._seen:
            self._seen, self._array = block, array_at(block, self.start, self._shape, self._dtype)
        return self._array

    def meets(self, other: Reservation) -> bool:
        """Whether the two have bytes in common."""
        return self._memory is other._memory and self.start < other.stop and other.start < self.stop
