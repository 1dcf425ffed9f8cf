"""Testing a net on data batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from convnet.data.provider import DataProvider
from convnet.layers.cost import CostLayer, reported
from convnet.net import ConvNet, Costs
from convnet.pixels import Minibatch
from convnet.training.batches import batches_to_test


@dataclass
class Totals:
    """Costs added up over minibatches: by cost layer and metric, and the number of cases.

    layers: the cost layers, which say what is told of their sums; without, averages.
    """

    sums: Costs = field(default_factory=dict)
    cases: int = 0
    layers: Sequence[CostLayer] = ()

    def add(self, costs: Costs, cases: int) -> None:
        """Add a minibatch's sums."""
        for layer, metrics in costs.items():
            held = self.sums.setdefault(layer, dict.fromkeys(metrics, 0.0))
            for metric, value in metrics.items():
                held[metric] += value
        self.cases += cases

    def averages(self) -> Costs:
        """What is told of each cost: most often its sums divided by the number of cases."""
        if self.layers and self.sums:
            return reported(self.layers, self.sums, self.cases)
        return {
            layer: {metric: value / max(1, self.cases) for metric, value in metrics.items()}
            for layer, metrics in self.sums.items()
        }


def begun(
    begin: Callable[[Minibatch], Callable[[], Costs]], data: Iterable[Minibatch], ahead: int
) -> Iterator[tuple[int, Costs]]:
    """Begin minibatches one after the other; yields the cases and costs of each when it is done.

    `ahead` more than the one that is waited for are given to the device, so that it is never idle. Whoever stops
    `data` gets those that were begun. A minibatch is asked for when the one before is begun, and no longer needed.
    """
    waiting: deque[tuple[int, Callable[[], Costs]]] = deque()
    for minibatch in data:
        waiting.append((len(minibatch[0]), begin(minibatch)))
        if len(waiting) > ahead:
            cases, costs = waiting.popleft()
            yield cases, costs()
    for cases, costs in waiting:
        yield cases, costs()


def evaluate(net: ConvNet, provider: DataProvider, batch_range: Sequence[int]) -> Generator[Totals, None, None]:
    """Test on these batches; yields the totals so far after every minibatch."""
    totals = Totals(layers=net.graph.costs)
    with closing(batches_to_test(provider, batch_range, net.mini)) as batches:
        for batch in batches:
            for cases, costs in begun(net.begin_testing, batch.minibatches, net.ahead):
                totals.add(costs, cases)
                yield totals


def test_error(costs: Costs) -> float:
    """What the best checkpoint is chosen by: the first error rate among the costs, or else the first cost."""
    for metrics in costs.values():
        if "error" in metrics:
            return metrics["error"]
    return next(iter(costs.values()))["cost"]
