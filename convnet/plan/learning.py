"""The steps after the backward pass: replicas add up their gradients, and weights are updated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from convnet.graph.layer_graph import LayerGraph
from convnet.plan.blocks import Blocks, flat
from convnet.plan.groups import Group
from convnet.plan.step import COPY, SUM, UPDATE, Step
from convnet.tensor import NumberTypes, Tensor
from convnet.weights.layout import SPACES, ParameterLayout
from convnet.weights.parameter import Parameter

Layouts = Mapping[int, ParameterLayout]

_GRAIN = 1024  # numbers: pieces of gradients begin at multiples of it


def sum_steps(group: Group, layouts: Layouts, blocks: Blocks, every: int) -> Iterator[Step]:
    """Give every replica the sum of all replicas' gradients, the same bits on each.

    Each device adds up one piece of the gradients and then sends it to the others, so that every device sends and
    receives each number about twice, however many devices there are.
    """
    for number, (first, last) in enumerate(_pieces(_size(group, layouts), len(group.devices))):
        home = group.devices[number]
        others = [device for device in group.devices if device != home]
        pieces = {device: _gradient(group, layouts, device, first, last) for device in group.devices}
        for device in others:
            arrived = blocks.whole(("sum", group, first), "gradients", home, last - first)
            yield Step(SUM, "", home, COPY, (pieces[device], arrived), {}, every=every)
            yield Step(SUM, "", home, "flat.add", (arrived, pieces[home]), {}, every=every)
        for device in others:
            yield Step(SUM, "", device, COPY, (pieces[home], pieces[device]), {}, every=every)


def update_steps(group: Group, layouts: Layouts, blocks: Blocks, types: NumberTypes, every: int) -> Iterator[Step]:
    """One pass over all weights of the group on each device, then the limits on the norms of some."""
    for device in group.devices:
        layout = layouts[device]
        rows, (begin, end) = layout.rows(group.parameters), _span(group, layout)
        flats = tuple(flat(space, device, begin, end) for space in SPACES)
        rates = {"offsets": layout.offsets[rows] - begin, "rates": layout.rates[rows],
                 "operands": flat("operands", device, begin, end) if types.rounded else None}  # fmt: skip
        yield Step(UPDATE, "", device, "update.momentum", flats, rates, every=every)
        for parameter in group.parameters:
            yield from _limits(parameter, device, blocks, types, every)


def clear_steps(group: Group, layouts: Layouts, every: int) -> Iterator[Step]:
    """Set gradients to zero that are added up over several minibatches."""
    for device in group.devices:
        gradient = flat("gradients", device, *_span(group, layouts[device]))
        yield Step(UPDATE, "", device, "flat.clear", (gradient,), {}, every=every)


def statistics_steps(graph: LayerGraph, blocks: Blocks) -> Iterator[Step]:
    """Give all replicas the statistics of the first one, so that they test alike; each saw other cases."""
    for node in graph.nodes:
        for parameter in node.statistics.values():
            for device in node.gpus[1:]:
                copied = tuple(blocks.parameter("weights", parameter, where) for where in (node.gpus[0], device))
                yield Step(UPDATE, node.name, device, COPY, copied, {})


def _limits(parameter: Parameter, device: int, blocks: Blocks, types: NumberTypes, every: int) -> Iterator[Step]:
    limits: list[tuple[str, dict[str, Any]]] = []
    if parameter.norm_max > 0:
        limits.append(("update.wcnorm", {"low": parameter.norm_min, "high": parameter.norm_max}))
    if parameter.wball > 0:
        parts, exact = max(1, parameter.matrix.windows), not parameter.matrix.shrinks
        limits.append(("update.wball", {"limit": parameter.wball, "exact": exact, "modules": parts}))
    for operation, bounds in limits:
        rounded = blocks.parameter("operands", parameter, device) if types.rounded else None
        weights = blocks.parameter("weights", parameter, device)
        yield Step(UPDATE, parameter.layer, device, operation, (weights,), {**bounds, "operands": rounded}, every=every)


def _span(group: Group, layout: ParameterLayout) -> tuple[int, int]:
    """Where the group begins and ends in the flat arrays of a device."""
    offsets = layout.offsets[layout.rows(group.parameters)]
    return int(offsets[0, 0]), int(offsets[-1, 1])


def _size(group: Group, layouts: Layouts) -> int:
    begin, end = _span(group, layouts[group.devices[0]])
    return end - begin


def _gradient(group: Group, layouts: Layouts, device: int, first: int, last: int) -> Tensor:
    """A piece of the group's gradients on a device."""
    begin, _ = _span(group, layouts[device])
    return flat("gradients", device, begin + first, begin + last)


def _pieces(size: int, devices: int) -> list[tuple[int, int]]:
    """`size` numbers in about equal pieces, one for each device; the last ones may be missing. None for one device."""
    if devices == 1:
        return []
    length = -(-size // (devices * _GRAIN)) * _GRAIN
    return [(first, min(first + length, size)) for first in range(0, size, length)]
