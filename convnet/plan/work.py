"""What steps have to do: multiply and add, or read and write memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from convnet.ops.conv import ConvGeometry
from convnet.plan.step import Plan, Step
from convnet.tensor import NumberTypes, Tensor

# The arguments, by position, that an operation reads and writes back even where it does not `accumulate`.
_REWRITTEN = {
    "bnorm.fprop_train": (4, 5),
    "flat.add": (1,),
    "update.momentum": (0, 1),
    "update.wball": (0,),
    "update.wcnorm": (0,),
}
_PRODUCTS = ("conv.", "local.", "matmul.")
# Operations that touch, of the larger of two arrays, no more than the smaller one has.
_PARTIAL = ("concat.fprop", "concat.bprop", "sample.fprop")


@dataclass(frozen=True)
class Work:
    """The work of one step: `flops`, the additions and multiplications of a product of matrices, or `traffic`, bytes.

    A product's time follows from the former, that of everything else from the latter, so that the other one is 0.
    """

    flops: int = 0
    traffic: int = 0


def work_of(step: Step, plan: Plan, cases: int) -> Work:
    """The work of a step in a minibatch of so many cases.

    flops: two for each weight that is multiplied; of filters, also where they see the zeros around an image. traffic:
    the bytes of all arrays that are read and of all that are written, so that one that is added to counts twice.
    """
    own = plan.cut(cases)[step.part][1]
    if step.operation.startswith(_PRODUCTS):
        return Work(flops=flops_of(step, own))
    return Work(traffic=traffic_of(step, plan.types, own))


def flops_of(step: Step, cases: int) -> int:
    """The additions and multiplications of a step's product of matrices, in so many cases; 0 if it has none."""
    name = step.operation.partition(".")[0]
    if name in ("conv", "local"):
        return 2 * cases * _filter_weights(step)
    if name == "matmul":
        return 2 * cases * math.prod(tensor.memory.numbers for tensor in step.tensors() if _per_case(tensor))
    return 0


def traffic_of(step: Step, types: NumberTypes, cases: int) -> int:
    """The bytes that a step reads and writes, in so many cases."""
    sizes = [math.prod(tensor.array_shape(cases)) * types.of(tensor.memory).itemsize for tensor in _touched(step)]
    return len(sizes) * min(sizes) if step.operation in _PARTIAL else sum(sizes)


def added_to(step: Step) -> Tensor | None:
    """The tensor that a step adds to: `y`, or the last one of its arguments; None if it overwrites."""
    if not step.parameters.get("accumulate"):
        return None
    found: Tensor = step.parameters.get("y") or [each for each in step.arguments if isinstance(each, Tensor)][-1]
    return found


def _filter_weights(step: Step) -> int:
    """How many weights of filters are multiplied for a case, each at all of its windows."""
    given = (*step.arguments, *step.parameters.values())
    geometry = next(value for value in given if isinstance(value, ConvGeometry))
    return geometry.modules * geometry.rows * geometry.filters


def _per_case(tensor: Tensor) -> bool:
    return tensor.memory.per_case


def _touched(step: Step) -> Iterator[Tensor]:
    """Each tensor as often as the step goes over it."""
    yield from step.tensors()
    yield from (step.arguments[position] for position in _REWRITTEN.get(step.operation, ()))
    if (target := added_to(step)) is not None:
        yield target
