"""Where training stood when cuda-convnet or cuda-convnet2 wrote a checkpoint."""

from __future__ import annotations

from typing import Any

from convnet.graph.layer_graph import LayerGraph
from convnet.training.checkpoint import TrainingState
from convnet.training.evaluate import test_error
from convnet.training.options import Options, merged
from convnet.training.original_checkpoints import OriginalCheckpoint

Entry = dict[str, Any]
_UNREADABLE = "the costs of training and tests are not as cuda-convnet writes them, and left out"


def training_state(original: OriginalCheckpoint, graph: LayerGraph, given: Options) -> tuple[TrainingState, list[str]]:
    """The state from which training goes on as the originals would, and in words what is lost.

    The originals write a checkpoint after a test, and go on with the next batch. They do not keep which batches their
    outputs are of: that follows from the range of batches and from how often tests were, if these stayed as they are.
    """
    options = merged(given)
    batches = options["train-range"] or [original.batchnum]
    index = batches.index(original.batchnum) if original.batchnum in batches else -1
    done = len(batches) * (original.epoch - 1) + index + 1
    history = _history(original, graph, batches, done, options["test-freq"] or len(batches))
    trained, tested = history or ([], [])
    state = TrainingState(
        epoch=done // len(batches) + 1, batch_idx=done % len(batches), batch_range=batches, tests_done=len(tested),
        minibatches_done=sum(-(-entry["cases"] // options["mini"]) for entry in trained), train_history=trained,
        test_history=tested,
    )  # fmt: skip
    if tested:
        state.best = {"error": test_error(tested[-1]["costs"]), "checkpoint": state.name}
    return state, [] if history else [_UNREADABLE]


def _history(
    original: OriginalCheckpoint, graph: LayerGraph, batches: list[int], done: int, test_freq: int
) -> tuple[list[Entry], list[Entry]] | None:
    """Entries of training and of tests; None if the outputs are not as expected."""
    try:
        trained = [_entry(original, graph, output) for output in original.train_outputs]
        tested = [_entry(original, graph, output) for output in original.test_outputs]
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
        return None
    for entries, step in ((trained, 1), (tested, test_freq)):
        for back, entry in enumerate(reversed(entries)):
            number = max(0, done - 1 - back * step)
            entry["epoch"], entry["batchnum"] = number // len(batches) + 1, batches[number % len(batches)]
    return trained, tested


def _entry(original: OriginalCheckpoint, graph: LayerGraph, output: Any) -> Entry:
    """An entry of the history, whose batch is not known yet. Raises for what is not ({cost layer: numbers}, cases)."""
    sums, cases = output
    divisor = cases if original.version == 2 else 1  # cuda-convnet divides before it saves
    metrics = {cost.name: cost.metrics for cost in graph.costs}
    costs = {
        name: {metric: float(value) / divisor for metric, value in zip(metrics[name], values, strict=False)}
        for name, values in sums.items()
    }
    if type(cases) is not int or cases < 1 or not costs or not all(costs.values()):
        raise ValueError
    return {"epoch": 0, "batchnum": 0, "cases": cases, "costs": costs}
