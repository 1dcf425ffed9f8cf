"""A CPU device: threads, memory and the workspace that all its operations share."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import threadpoolctl

# Loads SciPy's BLAS: only libraries that are loaded can be set to one thread.
from convnet.backends.cpu import blas

Launch = Callable[[], None]
Array = np.ndarray[Any, Any]

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


def aligned_bytes(size: int) -> Array:
    """`size` zeroed bytes that begin at a multiple of 64."""
    raw = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size]


def available_cores() -> int:
    """The number of processor cores that this process may run on."""
    # Only Linux tells which cores a process is confined to.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workspace:
    """Scratch memory that operations of one device take turns to use: as large as the largest request."""

    def __init__(self) -> None:
        self._size = 0
        self._memory = aligned_bytes(0)

    def reserve(self, shape: tuple[int, ...], dtype: Any) -> Callable[[], Array]:
        """Ask for room; the returned function gives the array, whose content is arbitrary, when called at run time."""
        dtype = np.dtype(dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        self._size = max(self._size, size)

        def array() -> Array:
            if self._memory.size < self._size:
                self._memory = aligned_bytes(self._size)
            return self._memory[:size].view(dtype).reshape(shape)

        return array


class CpuDevice:
    """Runs kernels on `threads` threads (default: all that this process may use).

    Work is cut into contiguous ranges of items whose results do not depend on where the cuts are, so every number of
    threads gives the same bits. BLAS is set to one thread for the whole process: it is called from our threads.
    """

    backend = "cpu"

    def __init__(self, index: int = 0, threads: int | None = None) -> None:
        self.index = index
        self.threads = threads or available_cores()
        self.workspace = Workspace()
        self._pool = ThreadPoolExecutor(max(1, self.threads - 1), thread_name_prefix=f"cpu{index}")
        threadpoolctl.threadpool_limits(limits=1, user_api=blas.KIND)

    def __str__(self) -> str:
        return f"cpu:{self.index}"

    def allocate(self, size: int) -> Array:
        """A block of `size` zeroed bytes of this device's memory."""
        return aligned_bytes(size)

    def array(self, block: Array, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """The array of this shape and type that begins `offset` bytes into a block."""
        size = math.prod(shape) * dtype.itemsize
        return block[offset : offset + size].view(dtype).reshape(shape)

    def upload(self, source: Array, target: Array) -> None:
        """Copy a host array into an array of this device, converting its type."""
        np.copyto(target, source, casting="same_kind")

    def download(self, source: Array) -> Array:
        """A copy of an array of this device in the host's memory."""
        return source.copy()

    def parallel(self, kernel: Callable[..., None], items: int, *arguments: Any) -> Launch:
        """A launch of kernel(start, stop, *arguments) over 0..items, cut among the threads.

        An argument that is a function is called at each launch and its result passed: the function that `reserve`
        returned gives the workspace array, others read what changes between launches.
        """
        parts = max(1, min(self.threads, items))
        cuts = [(items * part // parts, items * (part + 1) // parts) for part in range(parts)]
        late = [position for position, argument in enumerate(arguments) if callable(argument)]

        def launch() -> None:
            ready = list(arguments)
            for position in late:
                ready[position] = arguments[position]()
            others = [self._pool.submit(kernel, start, stop, *ready) for start, stop in cuts[1:]]
            kernel(*cuts[0], *ready)
            for other in others:
                other.result()

        return launch
