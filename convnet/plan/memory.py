"""Where activations and gradients lie: one arena, in which blocks whose lifetimes do not overlap share room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convnet.plan.step import Step
from convnet.tensor import Memory, NumberTypes

_ALIGNMENT = 256  # bytes: cache lines of the CPU, and what GPUs read together


@dataclass(frozen=True)
class _Block:
    memory: Memory
    size: int
    first: int
    last: int

    def lives_with(self, other: _Block) -> bool:
        return self.first <= other.last and other.first <= self.last


def assign_offsets(memories: Sequence[Memory], steps: Sequence[Step], mini: int, types: NumberTypes) -> int:
    """Give every block of activations its offset; returns the bytes of the arena.

    A block lives from the first step that uses it to the last. Blocks that are pinned or used by no step of the
    training pass live always. The largest blocks are placed first, each at the lowest offset free for its lifetime.
    """
    placed: list[_Block] = []
    for block in sorted(_blocks(memories, steps, mini, types), key=lambda b: -b.size):
        block.memory.offset = _lowest_gap(block, [other for other in placed if other.lives_with(block)])
        placed.append(block)
    return max((block.memory.offset + block.size for block in placed), default=0)


def users(steps: Sequence[Step]) -> dict[Memory, list[int]]:
    """The numbers of the steps that use each block, in order."""
    found: dict[Memory, list[int]] = {}
    for number, step in enumerate(steps):
        for memory in dict.fromkeys(tensor.memory for tensor in step.tensors()):
            found.setdefault(memory, []).append(number)
    return found


def peak(memories: Sequence[Memory], steps: Sequence[Step], mini: int, types: NumberTypes) -> Step:
    """The step of the training pass during which most bytes are in use, the first one if there are several."""
    blocks = _blocks(memories, steps, mini, types)
    in_use = [sum(block.size for block in blocks if block.first <= index <= block.last) for index in range(len(steps))]
    return steps[in_use.index(max(in_use))]


def _blocks(memories: Sequence[Memory], steps: Sequence[Step], mini: int, types: NumberTypes) -> list[_Block]:
    always = (0, len(steps))
    lifetimes = {**_lifetimes(steps), **{memory: always for memory in memories if memory.pinned}}
    return [_Block(memory, _aligned(types.size(memory, mini)), *lifetimes.get(memory, always)) for memory in memories]


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _lifetimes(steps: Sequence[Step]) -> dict[Memory, tuple[int, int]]:
    return {memory: (numbers[0], numbers[-1]) for memory, numbers in users(steps).items()}


def _lowest_gap(block: _Block, neighbours: Sequence[_Block]) -> int:
    offset = 0
    for other in sorted(neighbours, key=lambda b: b.memory.offset):
        if offset + block.size <= other.memory.offset:
            break
        offset = max(offset, other.memory.offset + other.size)
    return offset
