"""The memory that worker processes share with this one, in regions that are used again when they are free."""

from __future__ import annotations

import mmap
import os
import weakref

import numpy as np

from convnet.data.augment import Array
from convnet.errors import ConvnetError


class Region:
    """A piece of the shared memory, from byte `start` to byte `end`.

    It is free for others when no process is at work on it and nothing in this process refers to the arrays in it.
    """

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.shares = 0  # under way
        self.referred = True

    @property
    def in_use(self) -> bool:
        """Whether it must not be given to others."""
        return self.referred or self.shares > 0

    def map(self, descriptor: int) -> Array:
        """The bytes, as an array that keeps the region in use as long as it or a part of it lives."""
        mapped = mmap.mmap(descriptor, self.end - self.start, offset=self.start)
        weakref.finalize(mapped, self._drop).atexit = False
        return np.frombuffer(mapped, np.uint8)

    def _drop(self) -> None:
        """Only this: it may run at any time, in any thread, whatever lock that holds."""
        self.referred = False


class SharedMemory:
    """Memory without a name: it is gone when all processes are that have its `descriptor` or a map of it.

    It grows, and never shrinks. Raises OSError where it cannot be made.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("convnet-images")
        self._size = 0
        self._regions: list[Region] = []  # by their place

    def allocate(self, size: int) -> tuple[Region, Array]:
        """A region of at least `size` bytes, and the array of its bytes; not to be called from two threads at once.

        Raises ConvnetError where there is no memory.
        """
        length = -(-size // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        self._regions = [region for region in self._regions if region.in_use]
        start = self._gap(length)
        region = Region(start, start + length)
        try:
            if region.end > self._size:
                os.ftruncate(self.descriptor, region.end)
                self._size = region.end
            content = region.map(self.descriptor)
        except OSError as error:
            raise ConvnetError(f"{size:,} bytes of shared memory for images cannot be had: {error}") from error
        self._regions = sorted([*self._regions, region], key=lambda one: one.start)
        return region, content

    def close(self) -> None:
        """Give the descriptor back; arrays of regions stay as they are."""
        os.close(self.descriptor)

    def _gap(self, length: int) -> int:
        """Where `length` bytes are free."""
        start = 0
        for region in self._regions:
            if region.start - start >= length:
                break
            start = region.end
        return start
