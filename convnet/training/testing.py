"""Tests a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    """Averaged costs of a test, with what was tested and on what. words: the costs as they are printed."""

    checkpoint: Path
    data: str
    cases: int
    costs: Costs
    words: str

    def summary(self) -> dict[str, Any]:
        """What `convnet test --json` prints.

        error, topk_error and cost are those of the first cost layer that counts errors, or of the first if none does;
        costs holds all of them by layer.
        """
        counting = [metrics for metrics in self.costs.values() if "error" in metrics]
        metrics = (counting or list(self.costs.values()))[0]
        return {
            "error": metrics.get("error"), "topk_error": metrics.get("topk_error"), "cost": metrics["cost"],
            "cases": self.cases, "costs": self.costs, "checkpoint": str(self.checkpoint), "data": self.data,
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
    return Tested(folder, provider.describe(), totals.cases, costs, words)
