"""Parameters that learn together, and where they lie in the flat arrays of each device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from convnet.graph.layer_graph import LayerGraph
from convnet.plan.passes import Passes
from convnet.weights.layout import ParameterLayout
from convnet.weights.parameter import Parameter


@dataclass(frozen=True)
class Group:
    """Parameters with replicas on the same devices that are updated together, every `period` passes, or never."""

    parameters: tuple[Parameter, ...]
    devices: tuple[int, ...]
    period: int
    learns: bool


def groups_of(graph: LayerGraph, passes: Passes) -> list[Group]:
    """The groups of a net, each in the order of the layers."""
    found: dict[tuple[tuple[int, ...], int, bool], list[Parameter]] = {}
    for parameter in graph.parameters:
        devices = graph[parameter.layer].gpus
        period = max(passes.period(len(devices)), parameter.update_period)
        found.setdefault((devices, period, parameter.learns), []).append(parameter)
    return [Group(tuple(parameters), *key) for key, parameters in found.items()]


def layouts_of(groups: Iterable[Group], passes: Passes) -> dict[int, ParameterLayout]:
    """By device, where its parameters lie: the groups one behind the other."""
    groups = list(groups)
    found = {}
    for device in sorted({device for group in groups for device in group.devices}):
        held = [(parameter, group) for group in groups if device in group.devices for parameter in group.parameters]
        found[device] = ParameterLayout(
            [parameter for parameter, _ in held], [group.period / passes.number for _, group in held]
        )
    return found


def sums_kept(graph: LayerGraph, parameter: Parameter) -> int:
    """How many replicas' gradients are summed up over several minibatches: all or none."""
    passes, devices = Passes.of(graph), graph[parameter.layer].gpus
    return len(devices) if parameter.learns and parameter.update_period > passes.number else 0
