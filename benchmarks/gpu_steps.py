"""What the steps of a plan come to: operations of matrix products, and bytes of their tensors."""

from __future__ import annotations

import math

from convnet.ops.conv import ConvGeometry
from convnet.plan.bind import BoundPlan
from convnet.plan.step import Step
from convnet.tensor import Tensor

# Arguments, the first ones, that are read and written.
_UPDATED = {"update.momentum": 2, "update.wball": 1, "update.wcnorm": 1}


def operations(step: Step, cases: int) -> int:
    """Additions and multiplications of a step's matrix product; 0 if it has none."""
    name = step.operation.partition(".")[0]
    if name in ("conv", "local"):
        values = (*step.arguments, *step.parameters.values())
        geometry = next(value for value in values if isinstance(value, ConvGeometry))
        return 2 * cases * geometry.modules * geometry.rows * geometry.filters
    if name == "matmul":
        weights = next(t for t in step.tensors() if not t.memory.per_case and len(t.array_shape(cases)) == 2)
        return 2 * cases * math.prod(weights.array_shape(cases))
    return 0


def tensor_bytes(step: Step, bound: BoundPlan, cases: int) -> int:
    """Bytes of a step's tensors: each once, and what is both read and written twice."""
    tensors, target = list(step.tensors()), added_to(step)
    updated = step.arguments[: _UPDATED.get(step.operation, 0)]
    return sum(bound.array(tensor, cases).nbytes for tensor in (*tensors, *updated, *([target] if target else ())))


def added_to(step: Step) -> Tensor | None:
    """The tensor that a step adds to: `y`, or the last one of its arguments; None if it overwrites."""
    if not step.parameters.get("accumulate"):
        return None
    found: Tensor = step.parameters.get("y") or [each for each in step.arguments if isinstance(each, Tensor)][-1]
    return found
