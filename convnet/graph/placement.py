"""Which devices a layer runs on (the key `gpu`)."""

from __future__ import annotations

from collections.abc import Sequence

from convnet.errors import ConvnetError
from convnet.graph.layer_graph import LayerGraph, Node
from convnet.layers.base import Layer, LayerReport


def place(
    layer: Layer, inputs: Sequence[Node], asked: list[int] | None, report: LayerReport
) -> tuple[int, ...] | None:
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


def require_one_device(graph: LayerGraph) -> None:
    """Check that a net runs on device 0 alone, the only one that a run has.

    Raises:
        ConvnetError: naming the first layer that asks for another device.
    """
    for node in graph.nodes:
        if any(node.gpus):
            asked = ",".join(map(str, node.gpus))
            where = f"{node.place_of('gpu')}: [{node.section.name}] gpu"
            raise ConvnetError(f"{where}: a run has one device, 0; the layer asks for {asked}")
