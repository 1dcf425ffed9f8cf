"""Memory of a CPU device: aligned blocks, and what launches share because they run one after the other."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


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

    def __init__(self) -> None:
        self._size = 0
        self._block = aligned_bytes(0)

    def reserve(self, shape: tuple[int, ...], dtype: Any, start: int = 0) -> Callable[[], Array]:
        """Ask for room for an array that begins `start` bytes into the memory.

        The returned function gives the array, whose content is arbitrary, when called at run time.
        """
        self._size = max(self._size, start + math.prod(shape) * np.dtype(dtype).itemsize)
        seen = array = aligned_bytes(0)

        def current() -> Array:
            nonlocal seen, array
            block = self._grown()
            if block is not seen:
                seen, array = block, array_at(block, start, shape, dtype)
            return array

        return current

    def _grown(self) -> Array:
        """The memory, a new one if more has been reserved since the last call."""
        if self._block.size < self._size:
            self._block = aligned_bytes(self._size)
        return self._block
