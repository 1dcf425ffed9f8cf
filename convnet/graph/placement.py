"""Which devices a layer runs on (the key `gpu`)."""

from __future__ import annotations

from collections.abc import Sequence

from convnet.config.report import Report
from convnet.graph.layer_graph import Node
from convnet.layers.base import Layer, LayerReport
from convnet.layers.common import GPU


def place(layer: Layer, inputs: Sequence[Node], asked: list[int] | None, report: LayerReport) -> tuple[int, ...] | None:
    """One device for each replica; () for data layers; None after reporting an error.

    A layer without `gpu` runs where its first input runs; one over data alone runs on device 0 (cuda-convnet has no
    such key, cuda-convnet2 demands it there), unless it is a cost, see `place_costs_of_data`.
    """
    if layer.type == "data":
        return ()
    below = [node for node in inputs if node.gpus]
    gpus = tuple(asked) if asked else below[0].gpus if below else (0,)
    if len(set(gpus)) < len(gpus):
        report.error(f"expected every replica on a device of its own, found {_listed(gpus)}", "gpu")
        return None
    if len({len(node.gpus) for node in below}) > 1:
        found = ", ".join(f"{len(node.gpus)} in '{node.name}'" for node in below)
        report.error(f"expected all input layers to have equal numbers of replicas, found {found}", "inputs")
        return None
    if below and len(below[0].gpus) % len(gpus):
        name, replicas = below[0].name, len(below[0].gpus)
        wanted = f"a number of replicas that divides the {replicas} of input '{name}'"
        if replicas == 1:
            wanted = f"one device, because input '{name}' has no replicas (give it gpu={_listed(gpus)}, too)"
        report.error(f"expected {wanted}, found {len(gpus)}", "gpu")
        return None
    if below and layer.type == "pass" and len(below[0].gpus) != len(gpus):
        report.error(f"expected as many replicas as the inputs have, {len(below[0].gpus)}, found {len(gpus)}", "gpu")
        return None
    return gpus


def place_costs_of_data(nodes: Sequence[Node]) -> None:
    """Put costs that read nothing but data, and have no `gpu`, where the layer with most replicas runs.

    On one device they would make the whole net run in as many passes as others have replicas.
    """
    apart = [node for node in nodes if node.layer.is_cost and not node.layer.values[GPU.name]
             and not any(below.gpus for below in node.inputs)]  # fmt: skip
    widest = max((node.gpus for node in nodes if node.gpus and node not in apart), key=len, default=None)
    for node in apart:
        node.gpus = widest or node.gpus


def check_devices(asked: Sequence[int], devices: int, report: LayerReport) -> None:
    """Report a layer whose `gpu` names others than the first `devices`, which are those that a run has."""
    if max(asked) >= devices:
        there = ",".join(map(str, range(devices)))
        report.error(f"expected devices that a run has ({there}), found {_listed(asked)}", "gpu")


def check_replicas(nodes: Sequence[Node], report: Report) -> None:
    """Report layers whose numbers of replicas, or periods of updates, do not fit the rest of the net.

    A minibatch is cut into as many parts as any layer has replicas; see convnet.plan.passes.
    """
    placed = [node for node in nodes if node.gpus]
    numbers = [len(node.gpus) for node in placed]
    for node in placed:
        own, replicas = LayerReport(report, node.section, node.params), len(node.gpus)
        above = {len(consumer.gpus) for consumer in node.consumers}
        if len(above) > 1:
            found = ", ".join(f"{len(consumer.gpus)} in '{consumer.name}'" for consumer in node.consumers)
            own.error(f"expected the layers above to have equal numbers of replicas, found {found}")
        elif max(numbers) % replicas or replicas % min(numbers):
            bounds = f"a multiple of the fewest of any layer, {min(numbers)}, and a divisor of the most, {max(numbers)}"
            own.error(f"expected {bounds}; found {replicas} replicas", "gpu")
        else:
            _check_period(node, max(numbers) // min(numbers), replicas // min(numbers), own)


def _check_period(node: Node, passes: int, turn: int, report: LayerReport) -> None:
    """Report an updatePeriod that is no whole number of the layer's turns, or of minibatches if it is longer than one.

    One that is shorter than a turn means every turn.
    """
    period = max(turn, node.layer.learning.get("updatePeriod") or 0)
    if period % turn:
        wanted = f"expected a multiple of {turn}, the passes from one turn of the layer to the next"
        report.error(f"{wanted}; found {period}", "updatePeriod")
    elif passes % period and period % passes:
        wanted = f"expected a divisor or a multiple of {passes}, the passes of a minibatch"
        report.error(f"{wanted}; found {period}", "updatePeriod")


def _listed(gpus: Sequence[int]) -> str:
    return ",".join(map(str, gpus))
