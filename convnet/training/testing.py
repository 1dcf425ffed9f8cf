"""Tests a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convnet.backends import DeviceOptions
from convnet.layers.cost import in_words
from convnet.net import Costs
from convnet.training.batches import checked_range
from convnet.training.checkpoint import Checkpoint, newest
from convnet.training.evaluate import evaluate
from convnet.training.memory import need_told
from convnet.training.runs import load_weights, open_net, reopened_session


@dataclass(frozen=True)
class Tested:
    """Averaged costs of a test, with what was tested and on what.

    words: the costs as they are printed. undefined: of each cost, the names of what would be 0 / 0.
    """

    checkpoint: Path
    data: str
    cases: int
    costs: Costs
    words: str
    undefined: Mapping[str, Sequence[str]]

    def summary(self) -> dict[str, Any]:
        """What `convnet test --json` prints.

        error, topk_error and cost are those of the first cost layer that counts errors, or of the first if none does;
        costs holds all of them by layer, None for what is undefined.
        """
        counting = [metrics for metrics in self.costs.values() if "error" in metrics]
        metrics = (counting or list(self.costs.values()))[0]
        costs = {name: {**held, **dict.fromkeys(self.undefined[name])} for name, held in self.costs.items()}
        return {
            "error": metrics.get("error"), "topk_error": metrics.get("topk_error"), "cost": metrics["cost"],
            "cases": self.cases, "costs": costs, "checkpoint": str(self.checkpoint), "data": self.data,
        }  # fmt: skip


def test_checkpoint(
    path: Path, given: Mapping[str, Any], device: DeviceOptions,
    progress: Callable[[int, int], None],
) -> Tested:  # fmt: skip
    """Test the newest checkpoint of a run, or the one named, on the test batches of its data or of other data.

    progress: called before the first and after every minibatch with the number of cases done and of all cases.

    Raises:
        ConvnetError: if there is no checkpoint or the data does not fit it.
    """
    folder = newest(path)
    checkpoint = Checkpoint.load(folder)
    session = reopened_session(checkpoint, folder, None, given, device)
    provider = session.provider
    batch_range = checked_range(session.options["test-range"], provider.test_batches, provider, "test-range")
    net = open_net(session, device, initial=False)
    load_weights(net, checkpoint, folder)
    total = sum(map(provider.cases, batch_range))
    progress(0, total)
    with need_told(net):
        for totals in evaluate(net, provider, batch_range):
            progress(totals.cases, total)
    costs = totals.averages()
    words = in_words(net.graph.costs, costs, provider.label_names)
    told = [layer for layer in net.graph.costs if layer.name in costs]
    undefined = {layer.name: [name for name in layer.shares if name not in costs[layer.name]] for layer in told}
    return Tested(folder, provider.describe(), totals.cases, costs, words, undefined)
