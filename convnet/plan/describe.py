"""A plan as plain values, for printing and for JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convnet.graph.layer_graph import LayerGraph
from convnet.ops.dropout import Counter
from convnet.plan.build import build_plan, layouts
from convnet.plan.step import COPY, Plan, Step
from convnet.tensor import NumberTypes
from convnet.weights.layout import SPACES, ParameterLayout

FLOAT32 = NumberTypes(np.dtype(np.float32), np.dtype(np.float32))


def weight_bytes(layout: ParameterLayout, types: NumberTypes) -> int:
    """The bytes of weights, their increments and gradients, and of the rounded weights where there are any."""
    return layout.size * (len(SPACES) * types.weights.itemsize + types.rounded * types.activations.itemsize)


def describe_plan(graph: LayerGraph, mini: int, types: NumberTypes = FLOAT32) -> dict[str, Any]:
    """The steps of a training minibatch and the memory of a net with minibatches of `mini` cases.

    Of each step: phase, device, layer, operation, part of the minibatch, tensors ([name, shape] in the order of the
    operation's arguments; of a copy the source with its device, then the target). bytes: of activations and gradients
    together, and of weights, increments and their gradients. devices: for each the layers and parameters on it, its
    bytes, and those that it receives from the others in a step.
    """
    where = layouts(graph)
    plan = build_plan(graph, where, mini=mini, seed=0, counter=Counter(), types=types)
    used, received = sorted({gpu for node in graph.nodes for gpu in node.gpus}), _received(plan)
    return {
        "mini": mini,
        "parts": plan.parts,
        "steps": [_step(step, plan) for step in plan.train],
        "bytes": {
            "activations": sum(plan.arenas.values()),
            "weights": sum(weight_bytes(layout, types) for layout in where.values()),
        },
        "devices": [_device(number, graph, where.get(number), plan, received.get(number, {})) for number in used],
    }


def _step(step: Step, plan: Plan) -> dict[str, Any]:
    cases = plan.cut(plan.mini)[step.part][1]
    tensors = [[tensor.memory.name, list(tensor.array_shape(cases))] for tensor in step.tensors()]
    described = {"phase": step.phase, "device": step.device, "layer": step.layer, "operation": step.operation,
                 "part": step.part, "tensors": tensors}  # fmt: skip
    return {**described, "from": step.arguments[0].memory.device} if step.operation == COPY else described


def _device(
    number: int, graph: LayerGraph, layout: ParameterLayout | None, plan: Plan, received: dict[int, dict[str, int]]
) -> dict[str, Any]:
    return {
        "device": number,
        "layers": [node.name for node in graph.nodes if number in node.gpus],
        "parameters": [parameter.name for parameter in layout.parameters] if layout else [],
        "bytes": {
            "activations": plan.arenas.get(number, 0),
            "weights": weight_bytes(layout, plan.types) if layout else 0,
        },
        "received": [{"from": sender, "bytes": sizes} for sender, sizes in sorted(received.items())],
    }


def _received(plan: Plan) -> dict[int, dict[int, dict[str, int]]]:
    """The bytes that each device gets from each other one in a training minibatch, by the name of what is copied."""
    found: dict[int, dict[int, dict[str, int]]] = {}
    for step in plan.train:
        if step.operation == COPY:
            source, cases = step.arguments[0], plan.cut(plan.mini)[step.part][1]
            size = math.prod(source.array_shape(cases)) * plan.types.of(source.memory).itemsize
            sizes = found.setdefault(step.device, {}).setdefault(source.memory.device, {})
            sizes[source.memory.name] = sizes.get(source.memory.name, 0) + size
    return found
