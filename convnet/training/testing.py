"""Tests a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convnet.net import Costs
from convnet.training.batches import checked_range
from convnet.training.checkpoint import Checkpoint, newest
from convnet.training.evaluate import evaluate
from convnet.training.runs import load_weights, open_net
from convnet.training.session import open_session, options_in_force, stored_files


@dataclass(frozen=True)
class Tested:
    """Averaged costs of a test, with what was tested and on what."""

    checkpoint: Path
    data: str
    cases: int
    costs: Costs

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


def test_checkpoint(path: Path, given: Mapping[str, Any], device: str, threads: int | None) -> Tested:
    """Test the newest checkpoint of a run, or the one named, on the test batches of its data or of other data.

    Raises:
        ConvnetError: if there is no checkpoint or the data does not fit it.
    """
    folder = newest(path)
    checkpoint = Checkpoint.load(folder)
    files = stored_files(checkpoint, folder, None)
    session = open_session(files, options_in_force(files, dict(given)))
    provider = session.provider
    batch_range = checked_range(session.options["test-range"], provider.test_batches, "test-range")
    net = open_net(session, device, threads, initial=False)
    load_weights(net, checkpoint, folder)
    *_, totals = evaluate(net, provider, batch_range)
    return Tested(folder, provider.describe(), totals.cases, totals.averages())


