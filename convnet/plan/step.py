"""Steps and programs: what a plan consists of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from convnet.tensor import Memory, NumberTypes, Tensor

FPROP, BPROP, UPDATE = "fprop", "bprop", "update"


@dataclass(frozen=True)
class Step:
    """One operation on one device, for one layer ("" for the update of all weights)."""

    phase: str
    layer: str
    device: int
    operation: str
    arguments: tuple[Any, ...]
    parameters: dict[str, Any]

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor that the step reads or writes."""
        for argument in (*self.arguments, *self.parameters.values()):
            if isinstance(argument, Tensor):
                yield argument
            elif isinstance(argument, list):
                yield from (item for item in argument if isinstance(item, Tensor))


@dataclass
class Plan:
    """The steps of a training minibatch and of a test minibatch of at most `mini` cases.

    `inputs` are the tensors that data layers are written into, `gradients` the gradients of those of them where they
    are computed, `costs` the numbers of each cost layer, one row a case. `arenas`: bytes of
    memory that all activations and gradients take together, by device. `types`: what it was laid out for.
    """

    mini: int
    types: NumberTypes
    train: list[Step] = field(default_factory=list)
    test: list[Step] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    inputs: dict[str, Tensor] = field(default_factory=dict)
    gradients: dict[str, Tensor] = field(default_factory=dict)
    costs: dict[str, Tensor] = field(default_factory=dict)
    arenas: dict[int, int] = field(default_factory=dict)
