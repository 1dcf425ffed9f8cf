"""Links a cost.logreg to the softmax it reads, so that the two gradients can be one."""

from __future__ import annotations

from convnet.graph.layer_graph import Node
from convnet.layers.cost import LogisticRegression
from convnet.layers.softmax import Softmax


def link_softmax(node: Node) -> None:
    """Tell a logistic regression which softmax layer it reads, if its second input is one."""
    layer = node.layer
    if isinstance(layer, LogisticRegression) and isinstance(node.inputs[-1].layer, Softmax):
        layer.softmax = node.inputs[-1].layer


def merge_gradients(nodes: list[Node]) -> None:
    """Mark each softmax whose only consumer is a logistic regression (reference: cuda-convnet's merged gradient)."""
    for node in nodes:
        if isinstance(node.layer, Softmax):
            node.layer.merged = [type(consumer.layer) for consumer in node.consumers] == [LogisticRegression]
