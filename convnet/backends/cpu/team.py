"""Threads that work off the items of one launch together.

A minibatch is hundreds of launches, many of them shorter than it takes to wake a thread, about 50 microseconds. So
threads look again and again whether there is work, without the GIL, before they go to sleep.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import weakref

from convnet.backends.cpu import mailbox
from convnet.backends.cpu.job import Cases, Job
from convnet.backends.cpu.memory import Array

# How often to look before sleeping: some 0.2 ms for the next launch, and 1 ms for the others to end this one.
_LOOKS_FOR_WORK = 8_000
_LOOKS_FOR_END = 40_000

_PIECES = 8  # of a thread's share, which others may take

_LIBRARY = ctypes.CDLL(None)
_TELLS_CORES = hasattr(_LIBRARY, "sched_getcpu") and hasattr(os, "sched_setaffinity")


class Team:
    """As many threads as may share a launch, less the one that calls. One thread at a time makes launches."""

    def __init__(self, threads: int, name: str) -> None:
        if threads > 1:
            mailbox.compile_for_helpers()
        self.helpers = [_Helper(number, name) for number in range(1, threads)]
        self.unfinished: list[TeamLaunch] = []  # interrupted; kept until no helper works on them any more
        self._core = -1  # that the caller was on
        for helper in self.helpers:
            weakref.finalize(self, helper.end)

    def wait(self) -> None:
        """Wait until no helper works on anything."""
        for helper in self.helpers:
            helper.wait()
        self.unfinished.clear()

    def watch_core(self) -> None:
        """Keep the helpers off the core that the caller is on, if there is another and the system lets it.

        Where the system puts a helper on the core of the caller, or moves the caller to that of a helper, it takes many
        milliseconds to find that both are busy while another core idles: steps took twice as long.
        """
        if not _TELLS_CORES or (core := _LIBRARY.sched_getcpu()) == self._core:
            return
        self._core = core
        if cores := os.sched_getaffinity(0) - {core}:
            for helper in self.helpers:
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(helper.thread, cores)


class TeamLaunch:
    """A job over so many items, by several threads; calling it returns when all are done.

    cases: how its items follow those of a minibatch, if they do.
    """

    def __init__(self, team: Team, job: Job, items: int, cases: Cases | None = None) -> None:
        self.team, self.job, self.items, self.cases = team, job, items, cases
        self._helpers = team.helpers[: job.threads - 1]
        self._table: Array | None = None  # before the first launch
        self._address = 0

    def __call__(self) -> None:
        """Do all items; the first time, compile what is to be called.

        Raises:
            RuntimeError: if a kernel raised something.
        """
        if self.team.unfinished:
            self.team.wait()
        self.job.refresh()
        if self._table is None:
            self._prepare()
        if self._helpers:
            self.team.watch_core()
        try:
            self._run()
        except BaseException:  # an interruption: what helpers work with must not be freed or changed
            self.team.unfinished.append(self)
            self.team.wait()
            raise

    def _prepare(self) -> None:
        pieces = _PIECES if self._helpers else 1
        helpers = [helper.address for helper in self._helpers]
        table = mailbox.table(self.items, pieces, self.job.addresses, helpers)
        self._address = table.ctypes.data
        self._table = table  # last: an interruption may come before

    def _run(self) -> None:
        found = mailbox.launch(self._address, _LOOKS_FOR_END)
        if found == mailbox.SLEEPING:
            for helper in self._helpers:
                helper.awake.set()
            found = mailbox.work(self._address, _LOOKS_FOR_END)
        if found == mailbox.WORKING:
            for helper in self._helpers:
                helper.wait()
            found = mailbox.end(self._address)
        if found == mailbox.FAILED:
            raise RuntimeError(f"kernel {self.job.name} failed")


class _Helper:
    """A thread, and what it and those who give it work know of each other."""

    def __init__(self, number: int, name: str) -> None:
        self.ended = False
        self._mailbox = mailbox.mailbox(number)
        self.address: int = self._mailbox.ctypes.data
        self.awake, self.finished = threading.Event(), threading.Event()
        thread = threading.Thread(target=_serve, args=(self,), name=name, daemon=True)
        thread.start()
        self.thread = thread.native_id or 0

    def end(self) -> None:
        """Do nothing any more."""
        self.ended = True
        mailbox.give(self.address, mailbox.NOTHING)
        self.awake.set()

    def wait(self) -> None:
        """Wait until what was given is done."""
        self.awake.set()  # who gave it may have been interrupted before
        while not mailbox.is_done(self.address, _LOOKS_FOR_END):
            self.finished.clear()
            if not mailbox.is_done(self.address, 1):
                self.finished.wait()


def _serve(helper: _Helper) -> None:
    """What a helper's thread does."""
    while not helper.ended:
        mailbox.serve(helper.address, _LOOKS_FOR_WORK)
        # Who waits for the end has looked in vain as long, and may sleep, too.
        helper.finished.set()
        helper.awake.clear()
        if mailbox.falls_asleep(helper.address):
            helper.awake.wait()
            mailbox.wakes_up(helper.address)
