"""How the cases of a minibatch are spread over replicas, and over passes where layers have fewer replicas than others.

A minibatch is cut into as many parts as the layer with most replicas has. A layer with R replicas gives part p to its
replica p mod R. Where the layers' numbers of replicas differ there are several passes over the net: in each, the layers
with fewest replicas take one part for each of them, and a layer with more comes every so many passes, with as many
parts at a time as it has replicas: forward in the first pass of its period, backward in the last.

Source: cuda-convnet2, "one weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, and its wiki.
"""

from __future__ import annotations

from dataclasses import dataclass

from convnet.graph.layer_graph import LayerGraph


@dataclass(frozen=True)
class Passes:
    """most, fewest: replicas that any layer has."""

    most: int
    fewest: int

    @classmethod
    def of(cls, graph: LayerGraph) -> Passes:
        """The passes of a net."""
        replicas = [len(node.gpus) for node in graph.nodes if node.gpus] or [1]
        return cls(max(replicas), min(replicas))

    @property
    def number(self) -> int:
        """Passes for each minibatch."""
        return self.most // self.fewest

    def period(self, replicas: int) -> int:
        """Passes from one turn of a layer with so many replicas to the next."""
        return replicas // self.fewest

    def part(self, replicas: int, replica: int, number: int) -> int:
        """The part of the minibatch that a replica has in pass `number`, out of so many replicas."""
        return replica + replicas * (number // self.period(replicas))


def cut(cases: int, parts: int) -> list[tuple[int, int]]:
    """The parts of a minibatch, in order: first case and number of cases. The last ones may be short or empty."""
    size = -(-cases // parts)
    return [(min(part * size, cases), max(0, min(size, cases - part * size))) for part in range(parts)]
