"""Steps and programs: what a plan consists of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from convnet.plan.passes import cut
from convnet.tensor import Memory, NumberTypes, Tensor

FPROP, BPROP, SUM, UPDATE = "fprop", "bprop", "sum", "update"
COPY = "copy"  # the operation that brings a tensor from its device to another: source, target


class Portion(NamedTuple):
    """What one device has of one part of the minibatch."""

    device: int
    part: int


@dataclass(frozen=True)
class Step:
    """One operation on one device, for one layer ("" for the update of all weights).

    part: the part of the minibatch that tensors with cases are of. every: the step is run in every so many minibatches.
    """

    phase: str
    layer: str
    device: int
    operation: str
    arguments: tuple[Any, ...]
    parameters: dict[str, Any]
    part: int = 0
    every: int = 1

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor that the step reads or writes."""
        for argument in (*self.arguments, *self.parameters.values()):
            if isinstance(argument, Tensor):
                yield argument
            elif isinstance(argument, list):
                yield from (item for item in argument if isinstance(item, Tensor))


@dataclass
class Plan:
    """The steps of a training minibatch and of a test minibatch of at most `mini` cases, cut into `parts`.

    `inputs` are the tensors that data layers are written into, one for each, but values and shifts where they come as
    Pixels; `gradients` the gradients of data layers where they are computed, `costs` the numbers of each cost layer,
    one row a case, `kept` copies of the outputs of layers that tests keep; all of them by layer and portion. `means`:
    by layer that comes as Pixels and device, where its mean is to be written once. `arenas`: bytes of memory that all
    activations and gradients of a device take together. `types`: what it was laid out for.
    """

    mini: int
    types: NumberTypes
    parts: int = 1
    train: list[Step] = field(default_factory=list)
    test: list[Step] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    inputs: dict[str, dict[Portion, tuple[Tensor, ...]]] = field(default_factory=dict)
    means: dict[str, dict[int, Tensor]] = field(default_factory=dict)
    gradients: dict[str, dict[Portion, Tensor]] = field(default_factory=dict)
    costs: dict[str, dict[Portion, Tensor]] = field(default_factory=dict)
    kept: dict[str, dict[Portion, Tensor]] = field(default_factory=dict)
    arenas: dict[int, int] = field(default_factory=dict)

    def cut(self, cases: int) -> list[tuple[int, int]]:
        """The parts of a minibatch of so many cases: first case and number of cases."""
        return cut(cases, self.parts)

    @property
    def most_cases(self) -> int:
        """Cases in a part at most."""
        return self.cut(self.mini)[0][1]
