"""Which devices a layer runs on (the key `gpu`)."""

from __future__ import annotations

from collections.abc import Sequence

from convnet.graph.layer_graph import Node
from convnet.layers.base import Layer, LayerReport


def place(layer: Layer, inputs: Sequence[Node], asked: list[int] | None, report: LayerReport) -> tuple[int, ...] | None:
    """One device for each replica; () for data layers; None after reporting an error.

    A layer without `gpu` runs where its first input runs; one over data alone runs on device 0 (cuda-convnet has no
    such key, cuda-convnet2 demands it there).
    """
    if layer.type == "data":
        return ()
    below = [node for node in inputs if node.gpus]
    gpus = tuple(asked) if asked else below[0].gpus if below else (0,)
    if len(set(gpus)) < len(gpus):
        report.error(f"expected every replica on a device of its own, found {','.join(map(str, gpus))}", "gpu")
        return None
    if len({len(node.gpus) for node in below}) > 1:
        found = ", ".join(f"{len(node.gpus)} in '{node.name}'" for node in below)
        report.error(f"expected all input layers to have equal numbers of replicas, found {found}", "inputs")
        return None
    if below and len(below[0].gpus) % len(gpus):
        replicas = len(below[0].gpus)
        report.error(f"expected a number of replicas that divides the {replicas} of input '{below[0].name}', found "
                     f"{len(gpus)}", "gpu")  # fmt: skip
        return None
    return gpus


def check_devices(asked: Sequence[int], devices: int, report: LayerReport) -> None:
    """Report a layer whose `gpu` names others than the first `devices`, which are those that a run has."""
    if max(asked) >= devices:
        there = ",".join(map(str, range(devices)))
        report.error(f"expected devices that a run has ({there}), found {','.join(map(str, asked))}", "gpu")
