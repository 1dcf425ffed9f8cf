"""Testing a net on data batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from convnet.data.provider import Batch, DataProvider
from convnet.net import ConvNet, Costs


@dataclass
class Totals:
    """Costs added up over minibatches: by cost layer and metric, and the number of cases."""

    sums: Costs = field(default_factory=dict)
    cases: int = 0

    def add(self, costs: Costs, cases: int) -> None:
        """Add a minibatch's sums."""
        for layer, metrics in costs.items():
            held = self.sums.setdefault(layer, dict.fromkeys(metrics, 0.0))
            for metric, value in metrics.items():
                held[metric] += value
        self.cases += cases

    def averages(self) -> Costs:
        """Each sum divided by the number of cases."""
        return {
            layer: {metric: value / max(1, self.cases) for metric, value in metrics.items()}
            for layer, metrics in self.sums.items()
        }


def minibatches(data: Batch, mini: int, first: int = 0) -> Iterator[Batch]:
    """A data batch cut in order into minibatches of `mini` cases, from case `first`; the last may be shorter."""
    for start in range(first, len(data[0]), mini):
        yield [matrix[start : start + mini] for matrix in data]


def evaluate(net: ConvNet, provider: DataProvider, batch_range: Sequence[int]) -> Iterator[Totals]:
    """Test on these batches; yields the totals so far after every minibatch."""
    totals = Totals()
    for batchnum in batch_range:
        for minibatch in minibatches(provider.get_batch(batchnum, 1, train=False), net.mini):
            totals.add(net.test_minibatch(minibatch), len(minibatch[0]))
            yield totals


def test_error(costs: Costs) -> float:
    """What the best checkpoint is chosen by: the first error rate among the costs, or else the first cost."""
    for metrics in costs.values():
        if "error" in metrics:
            return metrics["error"]
    return next(iter(costs.values()))["cost"]
