"""Threads that work off the parts of one launch together.

A minibatch is hundreds of launches, many of them shorter than it takes to wake a thread, about 50 microseconds. So
threads look again and again whether there is work, without the GIL, before they go to sleep.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from convnet.backends.cpu.jit import kernel
from convnet.backends.cpu.vectors import INT

Part = tuple[Callable[..., None], Sequence[Any]]

# How often to look before sleeping: some 0.2 ms for the next launch, and 1 ms for the others to end this one.
_LOOKS_FOR_WORK = 8_000
_LOOKS_FOR_END = 40_000

_GIVEN, _DONE = 0, 16  # places of two counters, in cache lines of their own

_LIBRARY = ctypes.CDLL(None)
_TELLS_CORES = hasattr(_LIBRARY, "sched_getcpu") and hasattr(os, "sched_setaffinity")

_HAS_PAUSE = llvmlite.binding.get_process_triple().startswith("x86_64")


class Team:
    """As many threads as there may be parts, less the one that calls."""

    def __init__(self, threads: int, name: str) -> None:
        self._helpers = [_Helper(name) for _ in range(threads - 1)]
        self._core = -1  # that the caller was on
        for helper in self._helpers:
            weakref.finalize(self, helper.end)

    def run(self, parts: Sequence[Part]) -> None:
        """Do all parts, at most as many as there are threads, and return when they are done; raises what they raise."""
        first, *others = parts
        helpers = self._helpers[: len(others)]
        if helpers and (core := _current_core()) != self._core:
            self._core = core
            self._keep_off(core)
        try:
            for helper, part in zip(helpers, others, strict=True):
                helper.give(part)
            first[0](*first[1])
        finally:
            for helper in helpers:
                helper.wait()
            errors = [error for helper in helpers if (error := helper.taken_error()) is not None]
        if errors:
            raise errors[0]

    def _keep_off(self, core: int) -> None:
        """Keep the helpers off the core that the caller is on, if there is another and the system lets it.

        Where the system puts a helper on the core of the caller, or moves the caller to that of a helper, it takes many
        milliseconds to find that both are busy while another core idles: steps took twice as long.
        """
        if _TELLS_CORES and (cores := os.sched_getaffinity(0) - {core}):
            for helper in self._helpers:
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(helper.thread, cores)


class _Helper:
    """A thread, and what it and those who give it work know of each other."""

    def __init__(self, name: str) -> None:
        self.ended = False
        self.part: Part | None = None
        self.error: BaseException | None = None
        self.counters = np.zeros(32, np.int64)
        # Arrays that are passed to kernels cost a record each; an address costs nothing.
        self.given_at, self.done_at = (self.counters[place:].ctypes.data for place in (_GIVEN, _DONE))
        self.awake, self.finished = threading.Event(), threading.Event()
        thread = threading.Thread(target=_work, args=(self,), name=name, daemon=True)
        thread.start()
        self.thread = thread.native_id or 0

    def give(self, part: Part) -> None:
        """Do this, after what was given before."""
        self.wait()  # for what an interrupted caller did not wait for
        self.part = part
        self._call()

    def end(self) -> None:
        """Do nothing any more."""
        self.ended = True
        self._call()

    def _call(self) -> None:
        self.counters[_GIVEN] += 1
        if not self.awake.is_set():
            self.awake.set()

    def wait(self) -> None:
        """Wait until what was given is done."""
        given = self.counters[_GIVEN]
        while not _reaches(self.done_at, given, _LOOKS_FOR_END):
            self.finished.clear()
            if self.counters[_DONE] < given:
                self.finished.wait()

    def taken_error(self) -> BaseException | None:
        """What the last work raised, once."""
        error, self.error = self.error, None
        return error


def _work(helper: _Helper) -> None:
    done = 0
    there = _reaches(helper.given_at, 1, _LOOKS_FOR_WORK)
    while True:
        while not there:
            # Who waits for the end has looked in vain as long, and may sleep, too.
            helper.finished.set()
            helper.awake.clear()
            if helper.counters[_GIVEN] == done:
                helper.awake.wait()
            there = _reaches(helper.given_at, done + 1, _LOOKS_FOR_WORK)
        if helper.ended:
            return
        _do(helper)
        done += 1
        there = _report(helper.done_at, helper.given_at, done, _LOOKS_FOR_WORK)


def _current_core() -> int:
    """The core that this thread is on; always the same where the system does not tell."""
    return int(_LIBRARY.sched_getcpu()) if _TELLS_CORES else 0


def _do(helper: _Helper) -> None:
    """What was given; nothing of it is kept, lest its arrays live on."""
    part, helper.part = helper.part, None
    try:
        if part is not None:
            part[0](*part[1])
    except BaseException as error:  # noqa: BLE001 - it is raised where the work is waited for
        helper.error = error


@kernel
def _reaches(counter: int, number: int, looks: int) -> bool:
    """Whether the counter at an address reaches a number while it is looked at so often."""
    for _ in range(looks):
        if _load(counter) >= number:
            return True
        _pause()
    return False


@kernel
def _report(done_at: int, given_at: int, done: int, looks: int) -> bool:
    """Say that work is done, now that the GIL is free for who waits for it, and look for the next."""
    _store(done_at, done)
    return _reaches(given_at, done + 1, looks)


@intrinsic
def _load(_typing_context: Any, counter: Any) -> Any:
    """A counter as it is now in memory, with all that was written before it was."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(values[0], INT.as_pointer()), "acquire", align=8)

    return types.int64(counter), generate


@intrinsic
def _store(_typing_context: Any, counter: Any, number: Any) -> Any:
    """Set a counter, after all that was written before is there."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        builder.store_atomic(values[1], builder.inttoptr(values[0], INT.as_pointer()), "release", align=8)
        return context.get_dummy_value()

    return types.void(counter, number), generate


@intrinsic
def _pause(_typing_context: Any) -> Any:
    """Tell the processor that this is a loop that waits."""

    def generate(context: Any, builder: Any, _signature: Any, _values: Any) -> Any:
        if _HAS_PAUSE:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate
