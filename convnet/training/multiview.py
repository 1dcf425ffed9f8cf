"""Tests on several views of each image: the probabilities of a case's views are averaged, then costs and errors told.

Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012,
section 4.1; `multiview_test` of cuda-convnet.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TypeGuard

import numpy as np

from convnet.data.augment import Array, Floats
from convnet.data.provider import VIEWS, DataProvider
from convnet.errors import ConvnetError
from convnet.graph.layer_graph import LayerGraph
from convnet.layers.cost import CostLayer, LogisticRegression
from convnet.layers.data import Data
from convnet.net import ConvNet
from convnet.net.feeding import fed
from convnet.ops.logreg import targets
from convnet.pixels import Minibatch
from convnet.training.batches import batches_to_test
from convnet.training.evaluate import Totals

_SMALLEST = np.finfo(np.float32).tiny  # the type of a net's probabilities


def keep_probabilities(graph: LayerGraph) -> list[LogisticRegression]:
    """The costs that averaged probabilities tell of; a net made of the graph from now on lets these be read in tests.

    They are those of type cost.logreg whose labels come from the data.

    Raises:
        ConvnetError: if there are none.
    """
    costs: list[LogisticRegression] = []
    for layer in graph.costs:
        if _is_told(layer, graph, costs):
            costs.append(layer)
            graph[layer.inputs[1]].kept = True
    if not costs:
        found = ", ".join(f"'{layer.name}' of type {layer.type}" for layer in graph.costs)
        raise ConvnetError(f"--multiview: expected a cost layer of type cost.logreg, found {found}")
    return costs


def _is_told(layer: CostLayer, graph: LayerGraph, told: Sequence[CostLayer]) -> TypeGuard[LogisticRegression]:
    """Whether a cost can be told of. told: those of the earlier ones that are."""
    if not isinstance(layer, LogisticRegression) or not isinstance(graph[layer.inputs[0]].layer, Data):
        return False
    return all(child in told for child in layer.children)


def evaluate_views(
    net: ConvNet, costs: Sequence[LogisticRegression], provider: DataProvider, batch_range: Sequence[int]
) -> Generator[Totals, None, None]:
    """Test on VIEWS views of each image of these batches; yields the totals so far after every minibatch.

    costs: what `keep_probabilities` gave for the net's graph.

    Raises:
        ConvnetError: if images are not cropped.
    """
    totals = Totals(layers=costs)
    with closing(batches_to_test(provider, batch_range, net.mini, multiview=True)) as batches:
        for batch in batches:
            for data, probabilities in _averaged(net, {cost.inputs[1] for cost in costs}, batch.minibatches):
                totals.add({cost.name: _sums(net, cost, data, probabilities) for cost in costs}, len(data[0]))
                yield totals


def _averaged(
    net: ConvNet, layers: set[str], views: Iterator[Minibatch]
) -> Iterator[tuple[Minibatch, Mapping[str, Floats]]]:
    """The last view of each minibatch, and the averages over its views of what layers give, (cases, features)."""
    sums: dict[str, Floats] = {}
    for number, data in enumerate(views, 1):
        net.test_minibatch(data)
        for name in layers:
            output = net.output(name, len(data[0])).astype(np.float64)
            sums[name] = sums[name] + output if name in sums else output
        if number % VIEWS == 0:
            yield data, {name: total / VIEWS for name, total in sums.items()}
            sums = {}


def _sums(
    net: ConvNet, cost: LogisticRegression, data: Minibatch, probabilities: Mapping[str, Floats]
) -> dict[str, float]:
    """The sums over the cases of what a cost tells."""
    labels, averaged = fed(net.graph[cost.inputs[0]].layer, data, net.mean), probabilities[cost.inputs[1]]
    values = logreg(labels, averaged, topk=cost.learning["topk"], smoothing=cost.learning["smoothing"])
    return dict(zip(cost.metrics, map(float, values.sum(axis=0)), strict=True))


def logreg(labels: Array, probabilities: Floats, *, topk: int, smoothing: float) -> Floats:
    """Cost, error and top-k error of each case, as the operation gives them, see `convnet.ops.logreg`: (n, 3).

    labels: (n, 1) or (n,). probabilities: (n, classes).
    """
    classes = probabilities.shape[1]
    found = labels.reshape(-1)
    known = (found >= 0) & (found < classes)
    right = np.where(known, found, 0).astype(np.int64)[:, None]
    logs = np.log(np.maximum(probabilities, _SMALLEST))
    cost = -np.take_along_axis(logs, right, axis=1)[:, 0]
    if smoothing > 0:
        label, others = targets(classes, smoothing)
        cost = (label - others) * cost - others * logs.sum(axis=1)
    p = np.take_along_axis(probabilities, right, axis=1)
    greater, equal = (probabilities > p).sum(axis=1), (probabilities == p).sum(axis=1)
    # Where nothing is equal, not even the label's probability to itself, it is NaN.
    places = [np.clip((count - greater) / np.maximum(equal, 1), 0, 1) * (equal > 0) for count in (1, topk)]
    values = np.stack([cost, *(1 - place for place in places)], axis=1)
    values[~known] = np.nan
    return values
