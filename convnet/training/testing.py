"""Tests a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convnet.backends import DeviceOptions
from convnet.data.provider import VIEWS
from convnet.layers.cost import CostLayer, in_words
from convnet.net import Costs
from convnet.training.checkpoint import Checkpoint, newest
from convnet.training.evaluate import Totals, evaluate
from convnet.training.memory import need_told
from convnet.training.multiview import evaluate_views, keep_probabilities
from convnet.training.ranges import checked_range
from convnet.training.runs import load_weights, open_net, reopened_session
from convnet.training.session import Session


@dataclass(frozen=True)
class Tested:
    """Averaged costs of a test, with what was tested and on what.

    words: the costs as they are printed. undefined: of each cost, the names of what would be 0 / 0. views: of each
    image. left_out: the cost layers that the views' averaged probabilities tell nothing of.
    """

    checkpoint: Path
    data: str
    cases: int
    costs: Costs
    words: str
    undefined: Mapping[str, Sequence[str]]
    views: int
    left_out: Sequence[str]

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
            "cases": self.cases, "views": self.views, "costs": costs, "checkpoint": str(self.checkpoint),
            "data": self.data,
        }  # fmt: skip


def test_checkpoint(
    path: Path, given: Mapping[str, Any], device: DeviceOptions,
    progress: Callable[[int, int], None], *, multiview: bool = False,  # noqa: PT028 - no test of pytest
) -> Tested:  # fmt: skip
    """Test the newest checkpoint of a run, or the one named, on the test batches of its data or of other data.

    progress: called before the first and after every minibatch with the number of cases done and of all cases.
    multiview: average the probabilities of ten views of each image, see `convnet.training.multiview`.

    Raises:
        ConvnetError: if there is no checkpoint, the data does not fit it, or there are no views.
    """
    folder = newest(path)
    checkpoint = Checkpoint.load(folder)
    session = reopened_session(checkpoint, folder, None, given, device)
    provider = session.provider
    batch_range = checked_range(session.options["test-range"], provider.test_batches, provider, "test-range")
    costs = keep_probabilities(session.graph) if multiview else None
    net = open_net(session, device, initial=False)
    load_weights(net, checkpoint, folder)
    total = sum(map(provider.cases, batch_range))
    progress(0, total)
    tests = evaluate(net, provider, batch_range) if costs is None else evaluate_views(net, costs, provider, batch_range)
    with need_told(net), closing(provider), closing(tests):
        for totals in tests:
            progress(totals.cases, total)
    return _tested(session, folder, totals, costs)


def _tested(session: Session, folder: Path, totals: Totals, of_views: Sequence[CostLayer] | None) -> Tested:
    """What was found. of_views: the costs told of averaged probabilities; None where each image was seen once."""
    layers, provider, costs = session.graph.costs, session.provider, totals.averages()
    told = [layer for layer in layers if layer.name in costs]
    return Tested(
        folder, provider.describe(), totals.cases, costs, in_words(told, costs, provider.label_names),
        undefined={layer.name: [name for name in layer.shares if name not in costs[layer.name]] for layer in told},
        views=1 if of_views is None else VIEWS,
        left_out=[] if of_views is None else [layer.name for layer in layers if layer not in of_views],
    )  # fmt: skip
