"""A CPU device: threads, and how work is cut among them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import threadpoolctl

# Loads SciPy's BLAS: only libraries that are loaded can be set to one thread.
from convnet.backends.cpu import blas
from convnet.backends.cpu.job import Cases, KernelJob
from convnet.backends.cpu.joined import joined
from convnet.backends.cpu.memory import APART, Array, Reservation, Scratch, SharedMemory, aligned_bytes, array_at
from convnet.backends.cpu.team import Team, TeamLaunch
from convnet.backends.cpu.worker import Worker
from convnet.backends.launches import Launch, Passing
from convnet.tensor import NumberTypes

__all__ = ["Array", "Cases", "CpuDevice", "Launch", "Reservation", "Scratch", "available_cores"]


def available_cores() -> int:
    """The number of processor cores that this process may run on."""
    # Only Linux tells which cores a process is confined to.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Copies:
    """The way of minibatches to a CPU device."""

    def __init__(self, device: CpuDevice) -> None:
        self._device = device

    def send(self, source: Array, target: Array) -> None:
        """Copy `source` into `target`."""
        self._device.upload(source, target)


class CpuDevice:
    """Runs kernels on `threads` threads (default: all that this process may use).

    Work is cut into ranges of items whose results do not depend on where the cuts are, so every number of
    threads gives the same bits. BLAS is set to one thread for the whole process: it is called from our threads.
    beside: it is one of several devices that stand for as many GPUs, and works beside the host and the others.
    tune: whether the ways there are to compute a step are timed, once; otherwise they are chosen by rule. exact:
    whether ways are left out that round more than sums of products need.
    """

    backend = "cpu"
    ahead = 0  # the host waits at the end of a minibatch: launches read rates and counters when they are run

    def __init__(
        self, index: int = 0, threads: int | None = None, *, beside: bool = False, tune: bool = False,
        exact: bool = False,
    ) -> None:  # fmt: skip
        self.index, self.tune, self.exact = index, tune, exact
        self.threads = threads or available_cores()
        self.workspace = SharedMemory()  # of operations: their launches may pass it on to each other
        self.sums = SharedMemory()  # of cases: aside, so that launches which use the workspace may be joined with these
        self._scratch = [SharedMemory(APART) for _ in range(self.threads)]  # of single launches
        self._worker = Worker(f"cpu{index}") if beside else None
        self._team = Team(self.threads, f"cpu{index}")
        threadpoolctl.threadpool_limits(limits=1, user_api=blas.KIND)

    def __str__(self) -> str:
        return f"cpu:{self.index}"

    def types(self, weights: np.dtype[Any]) -> NumberTypes:
        """Everything is of the type that weights are of."""
        return NumberTypes(weights, weights)

    def allocate(self, size: int) -> Array:
        """A block of `size` zeroed bytes of this device's memory."""
        return aligned_bytes(size)

    def array(self, block: Array, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """The array of this shape and type that begins `offset` bytes into a block."""
        return array_at(block, offset, shape, dtype)

    def upload(self, source: Array, target: Array) -> None:
        """Copy a host array into an array of this device, converting its type."""
        self.finish()
        np.copyto(target, source, casting="same_kind")

    def download(self, source: Array) -> Array:
        """A copy of an array of this device in the host's memory, after all work given so far."""
        self.finish()
        return source.copy()

    def free_memory(self) -> None:
        """None: the operating system gives it."""

    def feeder(self, size: int) -> Copies:
        """Copies: nothing goes on beside the work of this device."""
        return Copies(self)

    def fetch(self, source: Array) -> Callable[[], Array]:
        """A function that gives a copy of the array as it is after all work given so far."""
        copy = self.download(source)
        return lambda: copy

    def in_turn(self, launch: Launch) -> Launch:
        """A launch that does its work after all work given before it."""
        return launch if self._worker is None else partial(self._worker.submit, launch)

    def receive(self, sender: CpuDevice, source: Array, target: Array) -> Launch:
        """A launch that copies an array of another device; both work in its order with what they were given."""

        def launch() -> None:
            ready, copied = threading.Event(), threading.Event()
            sender.in_turn(ready.set)()
            self.in_turn(partial(_wait, ready))()
            self.in_turn(partial(np.copyto, target, source))()
            self.in_turn(copied.set)()
            sender.in_turn(partial(_wait, copied))()

        return launch

    def finish(self) -> None:
        """Wait for all work given so far."""
        if self._worker is not None:
            self._worker.finish()

    def joined(self, launches: Sequence[Launch], passing: Sequence[Passing] = ()) -> Launch:
        """One launch that does these in their order; what is done to the same cases, case by case where that may be.

        What then passes from one to another of them need not be written into its array, and may be left in the cache.
        """
        return joined(launches, passing)

    def parallel(
        self, kernel: Callable[..., None], items: int, *arguments: Any, cases: Cases | None = None
    ) -> TeamLaunch:
        """A launch of kernel(start, stop, *arguments) over 0..items, cut into pieces that the threads share.

        In place of a `Scratch` among the arguments, each thread gets an array of its own, which holds anything at the
        beginning of each piece. An argument that is a function is called for each thread at each launch and its result
        passed: a Reservation gives the array in the workspace, others give what changes between launches. cases: how
        items follow those of the minibatch; then `joined` may do the launch case by case with its neighbours. The
        launch raises RuntimeError if the kernel raises something.

        Raises:
            ValueError: if items do not follow these cases.
        """
        if cases and not cases.fit(items):
            raise ValueError(f"{items} items do not follow {cases}")
        threads = max(1, min(self.threads, items))
        shared = [argument for argument in arguments if isinstance(argument, Reservation)]
        job = KernelJob(kernel, self._with_scratch(threads, arguments), shared)
        return TeamLaunch(self._team, job, items, cases)

    def _with_scratch(self, threads: int, arguments: tuple[Any, ...]) -> list[list[Any]]:
        """The arguments of each thread, with functions that give its own arrays in place of each Scratch."""
        found = []
        for memory in self._scratch[:threads]:
            own, end = list(arguments), 0
            for position, argument in enumerate(arguments):
                if isinstance(argument, Scratch):
                    own[position] = memory.reserve(argument.shape, argument.dtype, end)
                    end += argument.span
            found.append(own)
        return found


def _wait(event: threading.Event) -> None:
    event.wait()
