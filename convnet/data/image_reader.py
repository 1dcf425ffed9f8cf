"""The reader of a data batch of photographs: minibatches that are decoded a few ahead, in memory used in turn."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from convnet.data import augment
from convnet.data.augment import Array, Integers
from convnet.data.workers import CHANNELS, Share, Task, Workers
from convnet.pixels import Minibatch, Pixels
from convnet.shape import Shape

_AHEAD_MINIS, _AHEAD_CASES = 2, 256  # what is decoded in advance: at least so many minibatches and so many cases
_HEAD = 64  # bytes before the pixels in a reader's memory, the first of which says that they are not wanted any more
_NOTHING: Minibatch = ()


class Order(NamedTuple):
    """What a reader gives: `cases` in this order, `mini` at once, as they are in `epoch`.

    views: which windows of them are decoded, if not in training. mirrors: whether their mirror images follow.
    """

    cases: Integers
    mini: int
    epoch: int
    train: bool
    views: tuple[int, ...]
    mirrors: bool

    @classmethod
    def of(
        cls, cases: Integers, mini: int, epoch: int, train: bool, views: tuple[int, ...], *, mirrors: bool = False
    ) -> Order:
        """With minibatches that are no larger than all cases."""
        return cls(cases, max(1, min(mini, len(cases))), epoch, train, views, mirrors)

    def part(self, index: int) -> Integers:
        """The cases of a minibatch."""
        return self.cases[index * self.mini : (index + 1) * self.mini]

    @property
    def minis(self) -> int:
        """The number of minibatches."""
        return -(-len(self.cases) // self.mini)


class Feeder(Protocol):
    """What a reader needs of the provider."""

    shapes: list[Shape]

    def workers(self) -> Workers:
        """The worker processes. Raises ConvnetError where they cannot be started, or have ended."""

    def shares(self, order: Order, cases: Integers, target: int, cancelled: int) -> list[Share]:
        """Minibatch `cases` of a reader, divided among the processes; the pixels go to byte `target` of the memory."""

    def matrices(self, order: Order, cases: Integers, pixels: Array) -> Minibatch:
        """The minibatch of these cases, whose `pixels` are decoded."""


class Reader(Iterator[Minibatch]):
    """Gives the minibatches of an order, and has the next ones decoded meanwhile.

    Its memory has a slot for the minibatch given last and for each of those that are decoded in advance. Dropping a
    reader ends what is under way for it; the memory is free when nothing refers to its last minibatch.
    """

    def __init__(self, provider: Feeder, order: Order) -> None:
        """Begin with as many minibatches as there are slots."""
        self._provider, self._order, self._workers = provider, order, provider.workers()
        maps = provider.shapes[0].maps
        assert maps is not None
        self._window = maps.y, maps.x, CHANNELS
        self._slot = len(order.views) * order.mini * math.prod(self._window)
        self._slots = min(order.minis, 1 + max(_AHEAD_MINIS, -(-_AHEAD_CASES // order.mini)))
        self._region, self._memory = self._workers.allocate(_HEAD + self._slots * self._slot)
        self._memory[0] = 0
        # What says this to the processes is the memory itself, because the reader is gone then.
        self._cancel = weakref.finalize(self, self._memory.__setitem__, 0, 1)
        self._cancel.atexit = False
        self._sent, self._given = 0, 0
        self._tasks: dict[int, Task] = {}
        self._pixels, self._minibatch = self._memory, _NOTHING
        self._send(self._slots)

    def __next__(self) -> Minibatch:
        """The next minibatch, or the next view. Raises ConvnetError for a damaged image, and for a process's end."""
        views = len(self._order.views) * (2 if self._order.mirrors else 1)
        index, view = divmod(self._given, views)
        if view == 0:
            self._send(index + self._slots)
            if index == self._order.minis:
                raise StopIteration
            self._receive(index)
        self._given += 1
        return self._seen(view)

    def close(self) -> None:
        """Give nothing any more, as if it were dropped."""
        self._cancel()
        self._order = self._order._replace(cases=self._order.cases[:0])
        self._given, self._tasks = 0, {}
        self._memory = self._pixels = self._memory[:0].copy()
        self._minibatch = _NOTHING

    def _send(self, end: int) -> None:
        """Have the minibatches before `end` decoded that are not under way."""
        while self._sent < min(end, self._order.minis):
            index, self._sent = self._sent, self._sent + 1
            target = self._region.start + _HEAD + index % self._slots * self._slot
            shares = self._provider.shares(self._order, self._order.part(index), target, self._region.start)
            self._tasks[index] = self._workers.submit(self._region, shares, index)

    def _receive(self, index: int) -> None:
        """Wait for a minibatch."""
        self._workers.wait(self._tasks[index])
        cases, start = self._order.part(index), _HEAD + index % self._slots * self._slot
        shape = len(self._order.views), len(cases), *self._window
        self._pixels = self._memory[start : start + math.prod(shape)].reshape(shape)
        self._minibatch = self._provider.matrices(self._order, cases, self._pixels[0])
        del self._tasks[index]

    def _seen(self, view: int) -> Minibatch:
        """A view of the minibatch."""
        if view == 0:
            return self._minibatch
        plain = len(self._order.views)
        seen = self._pixels[view % plain]
        return [Pixels(augment.mirrored(seen) if view >= plain else seen), *self._minibatch[1:]]
