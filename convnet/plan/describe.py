"""A plan as plain values, for printing and for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.graph.layer_graph import LayerGraph
from convnet.ops.dropout import Counter
from convnet.plan.build import build_plan
from convnet.plan.step import Step
from convnet.tensor import NumberTypes
from convnet.weights.layout import SPACES, ParameterLayout

FLOAT32 = NumberTypes(np.dtype(np.float32), np.dtype(np.float32))


def weight_bytes(layout: ParameterLayout, types: NumberTypes) -> int:
    """The bytes of weights, their increments and gradients, and of the rounded weights where there are any."""
    return layout.size * (len(SPACES) * types.weights.itemsize + types.rounded * types.activations.itemsize)


def describe_plan(graph: LayerGraph, mini: int, types: NumberTypes = FLOAT32) -> dict[str, Any]:
    """The steps of a training minibatch and the memory of a net with minibatches of `mini` cases.

    Of each step: phase, device, layer, operation, tensors ([name, shape] in the order of the operation's arguments).
    bytes: of activations and gradients together, and of weights, increments and their gradients.
    """
    layout = ParameterLayout(graph.parameters)
    plan = build_plan(graph, layout, mini=mini, seed=0, counter=Counter(), types=types)
    return {
        "mini": mini,
        "steps": [_step(step, mini) for step in plan.train],
        "bytes": {"activations": sum(plan.arenas.values()), "weights": weight_bytes(layout, types)},
    }


def _step(step: Step, mini: int) -> dict[str, Any]:
    tensors = [[tensor.memory.name, list(tensor.array_shape(mini))] for tensor in step.tensors()]
    return {"phase": step.phase, "device": step.device, "layer": step.layer, "operation": step.operation,
            "tensors": tensors}  # fmt: skip
