"""Symbolic arrays: what layers compute with while a plan is made, before any memory exists."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np

from convnet.shape import Maps


class Content(Enum):
    """What a block of activations holds; the type of its numbers follows."""

    ACTIVATIONS = "activations and their gradients"
    EXACT = "what must not be rounded, and is therefore held in the type of weights: labels, costs, statistics"
    BYTES = "images as they are stored"


@dataclass(eq=False)
class Memory:
    """A block of memory on one device.

    `numbers` values for each case when `per_case`, in all otherwise. A `pinned` block is never shared with another
    one: it is written or read from outside the plan. `space` says where it lies: "activations" are laid out by the
    plan (`offset` in bytes) and have a `content`, the other spaces are the flat arrays of a net's weights (`offset` in
    numbers).
    """

    name: str
    device: int
    numbers: int
    per_case: bool = True
    pinned: bool = False
    space: str = "activations"
    offset: int = -1
    content: Content = Content.ACTIVATIONS


@dataclass(frozen=True)
class NumberTypes:
    """What a device holds numbers in: weights and everything exact, and activations with their gradients."""

    weights: np.dtype[Any]
    activations: np.dtype[Any]

    @property
    def rounded(self) -> bool:
        """Whether operations take the weights rounded to the type of the activations."""
        return self.weights != self.activations

    def of(self, memory: Memory) -> np.dtype[Any]:
        """The type of a block's numbers."""
        if memory.space != "activations":
            return self.activations if memory.space == "operands" else self.weights
        if memory.content is Content.BYTES:
            return np.dtype(np.uint8)
        return self.weights if memory.content is Content.EXACT else self.activations

    def size(self, memory: Memory, cases: int) -> int:
        """The bytes that a block takes for so many cases."""
        return memory.numbers * (cases if memory.per_case else 1) * self.of(memory).itemsize


@dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a block of memory: `shape` without the axis of cases, which comes first if the block is per case.

    `merged` > 0 means two axes: all leading ones merged, then `merged` columns.
    """

    memory: Memory
    shape: tuple[int, ...]
    merged: int = field(default=0)

    def rows(self, columns: int) -> Tensor:
        """The same numbers as (rows, columns), the cases being part of the rows."""
        return replace(self, merged=columns)

    def view(self, *shape: int) -> Tensor:
        """The same numbers of each case in another shape."""
        return replace(self, shape=shape)

    def array_shape(self, cases: int) -> tuple[int, ...]:
        """The shape of the array that stands for this tensor in a run of `cases` cases."""
        full = (cases, *self.shape) if self.memory.per_case else self.shape
        return (math.prod(full) // self.merged, self.merged) if self.merged else full


class Bound(Enum):
    """What an operation is told only when the cases of a minibatch are counted."""

    FIRST_CASE = "the number, within the minibatch, of the first case that the operation is given"


@dataclass(frozen=True, eq=False)
class Target:
    """A tensor to write a gradient to, and whether to add to what it holds."""

    tensor: Tensor
    accumulate: bool


def memory_shape(features: int, maps: Maps | None) -> tuple[int, ...]:
    """How one case lies in memory: (y, x, channel) for maps, (feature,) otherwise."""
    return (maps.y, maps.x, maps.channels) if maps else (features,)


def same_order(maps: Maps | None, other: Maps | None) -> bool:
    """Whether two readings of the same features lie in memory in the same order."""
    if maps == other:
        return True
    return all(m is None or m.pixels == 1 or m.channels == 1 for m in (maps, other))
