"""Weights, biases and statistics of the layers, and which weights are shared (the key `weightSource`)."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convnet.config.kinds import Call
from convnet.graph.layer_graph import Node
from convnet.layers.base import Layer, LayerReport
from convnet.layers.filters import FilterLayer
from convnet.weights.initial import find_function
from convnet.weights.parameter import Parameter
from convnet.weights.schedule import Decay, ParameterSchedule

_LIMITS = ("wball", "wballMax", "wcNormMin", "wcNormMax")
_FIXED = ParameterSchedule("const", 0.0)  # for statistics, and for nets without a parameter file


def check_functions(values: Mapping[str, Any], report: LayerReport) -> None:
    """Report functions for initial weights or biases that are not found. This imports the user's modules."""
    for key in ("initWFunc", "initBFunc", "initCFunc"):
        if values.get(key) is not None:
            _check_function(values[key], key, report)


def _check_function(call: Call, key: str, report: LayerReport) -> None:
    try:
        function = find_function(call)
    except ValueError as error:
        report.error(str(error), key)
        return
    if call.otherwise and getattr(function, "__module__", "") != call.otherwise:
        file = getattr(sys.modules[call.module], "__file__", None) or call.module
        text = f"'{call.module}.{call.function}' is the function of {file}"
        report.note(f"{text}; '{call.function}' alone is the one that comes with convnet", key)


def attach_parameters(node: Node, earlier: Mapping[str, Node], report: LayerReport, *, of_2012: bool) -> None:
    """Give the node its parameters: its own, or those of earlier layers that it shares.

    of_2012: the files are of that release, see `_limit_as_in_2012`.
    """
    layer = node.layer
    _check_limits(layer, report)
    if of_2012:
        _limit_as_in_2012(layer, report)
    sources = _sources(layer, report)
    for index in range(len(layer.weights)):
        source = sources[index]
        if source is None:
            node.parameters[index] = _weights(layer, index, report)
            continue
        shared = _shared(node, index, source, earlier, report)
        if shared is not None:
            node.parameters[index] = shared
    if layer.biases is not None:
        node.parameters[None] = _biases(layer, report)
    for name, matrix in layer.statistics.items():
        node.statistics[name] = Parameter(layer.name, None, matrix, _FIXED, momentum=0.0, statistic=name)


def _check_limits(layer: Layer, report: LayerReport) -> None:
    """Report weights that are to have a norm and a largest norm."""
    norms, largest = (layer.learning.get(key) or [] for key in ("wball", "wballMax"))
    if any(norm and most for norm, most in zip(norms, largest, strict=True)):
        report.error("expected wball or wballMax for an input, found both", "wballMax")


def _limit_as_in_2012(layer: Layer, report: LayerReport) -> None:
    """Make `wballMax` of `wball`, which was the largest norm over the number of a filter's weights."""
    norms = layer.learning.get("wball") or []
    if not any(norms):
        return
    limits = [norm * m.rows / max(1, m.windows) for norm, m in zip(norms, layer.weights, strict=True)]
    if not all(map(math.isfinite, limits)):
        report.error("expected a number that is finite when multiplied by the weights of a filter", "wball")
        return
    pairs = zip(limits, layer.learning["wballMax"], strict=True)
    layer.learning |= {"wball": [0.0] * len(norms), "wballMax": [limit or most for limit, most in pairs]}
    shown = ", ".join(f"{limit:g}" for limit in dict.fromkeys(filter(None, limits)))
    text = f"taken as in 2012: the longest norm is wball times the weights of a filter, {shown}"
    report.note(f"{text}; write wballMax for a norm itself", "wball")


def _sources(layer: Layer, report: LayerReport) -> list[tuple[str, int] | None]:
    sources: list[tuple[str, int] | None] = layer.values.get("weightSource") or [None] * len(layer.weights)
    if len(sources) != len(layer.weights):
        items = f"{len(layer.weights)} item{'s' * (len(layer.weights) != 1)}"
        report.error(f"expected {items}, one for each input, found {len(sources)}", "weightSource")
        return [None] * len(layer.weights)
    return sources


def _weights(layer: Layer, index: int, report: LayerReport) -> Parameter:
    of = layer.learning
    eps = _schedule(of["epsW"][index] or _FIXED, of["schedW"], "schedW", report)
    norm, most, norm_min, norm_max = (of[key][index] if key in of else 0.0 for key in _LIMITS)
    matrix = replace(layer.weights[index], shrinks=True) if most else layer.weights[index]
    return Parameter(
        layer.name, index, matrix, eps, of["momW"][index] or 0.0, of["wc"][index], norm or most,
        norm_min=norm_min, norm_max=norm_max, nesterov=of["nesterov"], update_period=of["updatePeriod"],
    )  # fmt: skip


def _biases(layer: Layer, report: LayerReport) -> Parameter:
    assert layer.biases is not None
    of = layer.learning
    return Parameter(
        layer.name, None, layer.biases, _schedule(of["epsB"] or _FIXED, of["schedB"], "schedB", report),
        of["momB"] or 0.0, nesterov=of["nesterov"], update_period=of["updatePeriod"],
    )  # fmt: skip


def _schedule(rate: ParameterSchedule, decay: Decay | None, key: str, report: LayerReport) -> ParameterSchedule:
    """The rate with what `schedW` or `schedB` says of it."""
    if decay is None:
        return rate
    if rate.kind != "const":
        report.error(f"expected {key.replace('sched', 'eps')} to be a number, for {key} to change, found '{rate}'", key)
    if decay.noise:
        report.note("noiseStdev=0 has no effect here: there is no noise on rates", key)
    return decay.of(rate)


def _shared(
    node: Node, index: int, source: tuple[str, int], earlier: Mapping[str, Node], report: LayerReport
) -> Parameter | None:
    """The parameter that matrix `index` of the node shares; None after reporting why it cannot."""
    name, position = source
    own, matrix = node.layer, node.layer.weights[index]
    other = node if name == own.name else earlier.get(name)
    problem = None
    if other is None:
        problem = f"expected an earlier layer, found '{name}'"
    elif other.layer.type != own.type:
        problem = f"expected a layer of type '{own.type}', but '{name}' has type '{other.layer.type}'"
    elif position not in other.parameters:
        problem = f"expected a matrix that comes earlier, found '{name}[{position}]'"
    elif other.gpus != node.gpus:
        problem = f"expected a layer on the same devices, but '{name}' runs on {','.join(map(str, other.gpus))}"
    elif other.layer.weights[position].shape != matrix.shape:
        found = other.layer.weights[position]
        problem = (
            f"expected weights of {matrix.rows}x{matrix.columns}, but '{name}[{position}]' has "
            f"{found.rows}x{found.columns}"
        )
    elif isinstance(own, FilterLayer) and isinstance(other.layer, FilterLayer):
        problem = _filters_differ(own, index, other.layer, position)
    if problem:
        report.error(problem, "weightSource")
        return None
    assert other is not None
    return other.parameters[position]


def _filters_differ(own: FilterLayer, index: int, other: FilterLayer, position: int) -> str | None:
    """What is wrong if filters of the right number of weights do not fit, or if they see channels that do not."""
    if _window(other, position) != _window(own, index):
        return f"expected weights for windows of the same size and channels, those of '{other.name}[{position}]' differ"
    mine, theirs = own.connections[index], other.connections[position]
    if mine is None or own.values["initCFunc"] is not None:
        return None  # connections are not taken over from the other layer
    if theirs is None:
        return f"expected a matrix with randSparse, whose channels are shared too; '{other.name}[{position}]' has none"
    wanted = f"{mine.shape[0]} groups of {own.input_maps[index].channels} channels"
    found = f"{theirs.shape[0]} groups of {other.input_maps[position].channels} channels"
    return None if found == wanted else f"expected a matrix for {wanted}, but '{other.name}[{position}]' has {found}"


def _window(layer: FilterLayer, index: int) -> tuple[int, int]:
    """Channels and side of the window that a matrix is for: they decide how its rows lie in memory."""
    geometry = layer.geometries[index]
    return geometry.filter_channels, geometry.filter_size
