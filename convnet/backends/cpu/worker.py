"""A thread that works off what it is given, in order: how several CPU devices of one process work beside each other."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue

Job = Callable[[], None]


class Worker:
    """Does jobs one after the other. After an error it goes on, so that nobody waits for it in vain; `finish` tells."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._errors: list[BaseException] = []
        threading.Thread(target=_work, args=(self._jobs, self._errors), name=name, daemon=True).start()
        weakref.finalize(self, self._jobs.put, None)

    def submit(self, job: Job) -> None:
        """Do this when all jobs given before are done."""
        self._jobs.put(job)

    def finish(self) -> None:
        """Wait until all jobs are done; raises the first error that one of them raised."""
        done = threading.Event()
        self.submit(done.set)
        done.wait()
        if self._errors:
            error = self._errors[0]
            self._errors.clear()
            raise error


def _work(jobs: SimpleQueue[Job | None], errors: list[BaseException]) -> None:
    while (job := jobs.get()) is not None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - it is raised where the work is waited for
            errors.append(error)
