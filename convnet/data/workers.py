"""Processes that decode images into memory that they share with this one.

Each is `python -m convnet.data.worker` with one end of a socket pair, over which work and answers go, and the shared
memory, where the pixels lie.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import NamedTuple

from convnet.data.augment import Array, Integers, Words
from convnet.data.shared_memory import Region, SharedMemory
from convnet.errors import ConvnetError

_GRACE = 10  # seconds for a process to end that has closed its connection
_TAIL = 4096  # bytes at the end of what a process wrote that are looked at
CHANNELS = 3
CLOSED = "the data provider was closed"


class Share(NamedTuple):
    """What one process has to do of a minibatch: n images that follow each other.

    first: the position of the first image in the minibatch. cases: (n,) of each image, its place in its data batch, for
    messages. paths: the files with the JPEGs. places: (n, 3), which of `paths`, offset, bytes. size: (y, x) of the
    windows. exact: whether the images must have that size. mirrored: (n,) bool. words: (n, 2) random words for the
    windows' y and x; None for the windows `views` (see augment.corner). target: where in the shared memory the first
    window goes, the others following it. stride: from one view to the next, in bytes. cancelled: where in the memory a
    byte other than 0 says that nobody waits for this any more.
    """

    first: int
    cases: Integers
    paths: tuple[str, ...]
    places: Integers
    size: tuple[int, int]
    exact: bool
    mirrored: Array
    words: Words | None
    views: tuple[int, ...]
    target: int
    stride: int
    cancelled: int


class Answer(NamedTuple):
    """What a process says when it is done with a share of a task: `error` at the image `position`, or None."""

    task: int
    position: int
    error: str | None


class Task:
    """A minibatch under way. left: shares that are not answered. errors: (position, message) of damaged images."""

    def __init__(self, region: Region, shares: int) -> None:
        self.region, self.left = region, shares
        self.errors: list[tuple[int, str]] = []


class _Process:
    """A process and the connection to it. Raises OSError where it cannot be started."""

    def __init__(self, memory: int) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "convnet.data.worker", str(theirs.fileno()), str(memory)]
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            self._output = os.memfd_create("convnet-worker-output")
            undo.callback(os.close, self._output)
            # A group of its own: Ctrl-C in the terminal goes to this process alone, which then says what happens.
            self._process = subprocess.Popen(  # noqa: S603  the command is ours
                command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output,
                pass_fds=(theirs.fileno(), memory), process_group=0, env=_environment(),
            )  # fmt: skip
            undo.pop_all()
        self.connection = Connection(ours.detach())
        self._sending = threading.Lock()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def send(self, number: int, share: Share) -> None:
        """Give it a share of task `number`. If it is dead nothing happens: the listener finds out and says why."""
        with self._sending, contextlib.suppress(OSError):
            self.connection.send((number, share))

    def death(self) -> str:
        """Why the process ended, which has closed its connection."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        status = self._process.poll()
        why = "closed its connection" if status is None else f"ended with status {status}"
        if status is not None and status < 0:
            why = f"was ended by {_signal_name(-status)}"
        length = os.fstat(self._output).st_size
        lines = os.pread(self._output, _TAIL, max(0, length - _TAIL)).decode("utf-8", "replace").splitlines()
        return f"{why}: {lines[-1]}" if lines else why

    def end(self) -> None:
        """Stop it, wherever it is in its work."""
        self._process.kill()

    def clear(self) -> None:
        """Wait for its end and give back what it took."""
        self._process.wait()
        with self._sending:
            self.connection.close()
        os.close(self._output)


def _environment() -> dict[str, str]:
    """The environment in which the same modules are found as here, without threads that would wait for matrices."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}


def _signal_name(number: int) -> str:
    """As SIGKILL."""
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have none
        return f"signal {number}"


class Workers:
    """Worker processes. Who makes them has to close them. All methods are safe to call from several threads.

    Raises ConvnetError where they cannot be started.
    """

    def __init__(self, count: int) -> None:
        self._tasks: dict[int, Task] = {}
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._failure: str | None = None
        self._processes: list[_Process] = []
        self._held = contextlib.ExitStack()
        try:
            self._memory = SharedMemory()
            self._held.callback(self._memory.close)
            for _ in range(count):
                self._processes.append(_Process(self._memory.descriptor))
                self._held.callback(self._processes[-1].clear)
        except OSError as error:
            self._fail("not started")
            self._held.close()
            raise ConvnetError(f"worker processes cannot be started: {error}") from error
        self._listener = threading.Thread(target=self._listen, name="image workers", daemon=True)
        self._listener.start()

    def __len__(self) -> int:
        """The number of processes."""
        return len(self._processes)

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [process.pid for process in self._processes]

    def allocate(self, size: int) -> tuple[Region, Array]:
        """A piece of shared memory of at least `size` bytes, and the array of its bytes.

        Raises ConvnetError where there is no memory, and where the processes have ended.
        """
        with self._changed:
            self._check()
            return self._memory.allocate(size)

    def submit(self, region: Region, shares: Sequence[Share], turn: int) -> Task:
        """Give the shares of a minibatch to the processes, one each, the first to process `turn` (modulo their number).

        region: where the shares' windows go. Raises ConvnetError where the processes have ended.
        """
        task = Task(region, len(shares))
        with self._changed:
            self._check()
            number = next(self._numbers)
            self._tasks[number] = task
            region.shares += len(shares)
        for index, share in enumerate(shares, turn):
            self._processes[index % len(self._processes)].send(number, share)
        return task

    def wait(self, task: Task) -> None:
        """Until all images of the task are there. Raises ConvnetError for a damaged image and for a process's end."""
        with self._changed:
            self._changed.wait_for(lambda: not task.left or self._failure)
            if task.left:
                self._check()
        if task.errors:
            raise ConvnetError(min(task.errors)[1])

    def close(self) -> None:
        """End the processes; who waits for them gets a ConvnetError."""
        self._fail(CLOSED)
        if threading.current_thread() is not self._listener:  # where Python may happen to collect garbage
            self._listener.join()

    def _check(self) -> None:
        """Raise what has ended the processes."""
        if self._failure is not None:
            raise ConvnetError(self._failure)

    def _listen(self) -> None:
        """Take the answers, until the processes end."""
        waiting = {process.connection: process for process in self._processes}
        while self._failure is None:
            for connection in wait(list(waiting)):
                assert isinstance(connection, Connection)
                try:
                    answer: Answer = connection.recv()
                except (EOFError, OSError):
                    self._fail(f"a process that decodes images {waiting[connection].death()}")
                    break
                self._take(answer)
        self._held.close()

    def _take(self, answer: Answer) -> None:
        """Note what a process has done."""
        with self._changed:
            task = self._tasks[answer.task]
            task.left -= 1
            task.region.shares -= 1
            if answer.error is not None:
                task.errors.append((answer.position, answer.error))
            if not task.left:
                del self._tasks[answer.task]
                self._changed.notify_all()

    def _fail(self, reason: str) -> None:
        """End everything, for this reason if there is none yet."""
        with self._changed:
            if self._failure is None:
                self._failure = reason
            self._changed.notify_all()
        for process in self._processes:
            process.end()
