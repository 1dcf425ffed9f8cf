"""Where activations and gradients lie: one arena, in which blocks whose lifetimes do not overlap share room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convnet.plan.step import Step
from convnet.tensor import Memory

_ALIGNMENT = 16  # numbers: a cache line of float32


@dataclass(frozen=True)
class _Block:
    memory: Memory
    size: int
    first: int
    last: int

    def lives_with(self, other: _Block) -> bool:
        return self.first <= other.last and other.first <= self.last


def assign_offsets(memories: Sequence[Memory], steps: Sequence[Step], mini: int) -> int:
    """Give every block of activations its offset, in numbers; returns the size of the arena.

    A block lives from the first step that uses it to the last. Blocks that are pinned or used by no step of the
    training pass live always. The largest blocks are placed first, each at the lowest offset free for its lifetime.
    """
    lifetimes = _lifetimes(steps)
    always = (0, len(steps))
    blocks = [
        _Block(memory, _size(memory, mini), *(always if memory.pinned else lifetimes.get(memory, always)))
        for memory in memories
    ]
    placed: list[_Block] = []
    for block in sorted(blocks, key=lambda b: -b.size):
        block.memory.offset = _lowest_gap(block, [other for other in placed if other.lives_with(block)])
        placed.append(block)
    return max((block.memory.offset + block.size for block in placed), default=0)


def _size(memory: Memory, mini: int) -> int:
    numbers = memory.numbers * (mini if memory.per_case else 1)
    return -(-numbers // _ALIGNMENT) * _ALIGNMENT


def _lifetimes(steps: Sequence[Step]) -> dict[Memory, tuple[int, int]]:
    lifetimes: dict[Memory, tuple[int, int]] = {}
    for index, step in enumerate(steps):
        for tensor in step.tensors():
            first, _ = lifetimes.get(tensor.memory, (index, index))
            lifetimes[tensor.memory] = (first, index)
    return lifetimes


def _lowest_gap(block: _Block, neighbours: Sequence[_Block]) -> int:
    offset = 0
    for other in sorted(neighbours, key=lambda b: b.memory.offset):
        if offset + block.size <= other.memory.offset:
            break
        offset = max(offset, other.memory.offset + other.size)
    return offset
