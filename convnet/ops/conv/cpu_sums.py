"""Sums that parts of the cases have, each its own, added up."""

from __future__ import annotations

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import inlined
from convnet.backends.cpu.lanes import add, lanes_of, load, store


@inlined
def add_parts(sums: Array, at: int, count: int, step: int, parts: int) -> None:
    """sums[at:at + count] += the same of the other parts, which lie `step` apart."""
    for first in range(0, count if parts > 1 else 0, lanes_of(sums.itemsize)):
        left, place = count - first, at + first
        total = load(sums, place, left)
        for part in range(1, parts):
            total = add(total, load(sums, part * step + place, left))
        store(sums, place, left, total)
