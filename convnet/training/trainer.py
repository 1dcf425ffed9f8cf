"""The training loop."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convnet.errors import ConvnetError
from convnet.lock import locked
from convnet.net import ConvNet, Costs
from convnet.pixels import Minibatch
from convnet.training.batches import BatchManager, DataBatch, DataError
from convnet.training.checkpoint import Checkpoint, TrainingState, checkpoints, remove_old, remove_unfinished
from convnet.training.evaluate import Totals, begun, evaluate, test_error
from convnet.training.fitting import data_record
from convnet.training.memory import need_told
from convnet.training.options import to_plain
from convnet.training.ranges import TrainRange, checked_range
from convnet.training.session import Session
from convnet.weights.schedule import Progress


@dataclass(frozen=True)
class RatesChanged:
    """A learning rate that had stayed for a while jumps before a data batch. `rates`: all of them now, by parameter."""

    epoch: int
    batchnum: int
    rates: dict[str, float]


@dataclass(frozen=True)
class MinibatchDone:
    """A minibatch was trained: `done` of `total` cases of the current data batch."""

    epoch: int
    batchnum: int
    done: int
    total: int
    costs: Costs


@dataclass(frozen=True)
class BatchDone:
    """A data batch was trained.

    `costs`: averages over its cases. `seconds`: for the batch since training began or went on with it; `waited`: of
    them, waiting for data.
    """

    epoch: int
    batchnum: int
    cases: int
    costs: Costs
    seconds: float
    waited: float


@dataclass(frozen=True)
class TestRunning:
    """A test goes on: `done` cases so far."""

    done: int


@dataclass(frozen=True)
class TestDone:
    """A test ended. `best`: all earlier ones had a higher error."""

    epoch: int
    batchnum: int
    cases: int
    costs: Costs
    seconds: float
    best: bool


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written."""

    path: Path


Event = RatesChanged | MinibatchDone | BatchDone | TestRunning | TestDone | Saved


class Trainer:
    """Trains the net of a session, from `state` on, with checkpoints in folder `run`.

    `run_training` yields what happens as it happens. Setting `stop` ends it after the minibatch under way, with a
    checkpoint.
    """

    def __init__(self, session: Session, net: ConvNet, run: Path, state: TrainingState) -> None:
        options, provider = session.options, session.provider
        self.session, self.net, self.run, self.state = session, net, run, state
        batch_range = TrainRange.of(options, session.given, provider, session.files.report)
        _fit_range(state, batch_range.at(state.epoch))
        self.batches = BatchManager(
            provider, batch_range, mini=net.mini, epochs=options["epochs"], testing_freq=options["test-freq"],
            shuffle=options["shuffle"], epoch=state.epoch, batch_idx=state.batch_idx,
            first=state.partial.get("cases", 0),
        )  # fmt: skip
        self.test_range = checked_range(options["test-range"], provider.test_batches, provider, "test-range")
        if {*batch_range.usual, *batch_range.late} & set(self.test_range):
            session.files.report.note("test-range: some of its data batches are trained on, too; see train-range")
        self.stop = False
        self._waited = 0.0  # seconds, for the data of the batch under way
        self._saved = state.minibatches_done  # of them, those that a checkpoint has
        net.minibatches = state.minibatches_done
        net.set_progress(self.progress)
        self._held = self.rates(in_steps=True)

    @property
    def progress(self) -> Progress:
        """How far training is, for the data batch that is the current one."""
        errors = tuple(test_error(entry["costs"]) for entry in self.state.test_history)
        return Progress(self.batches.progress, self.batches.epoch, errors)

    def rates(self, *, in_steps: bool = False) -> dict[str, float]:
        """The learning rates of the current data batch, by parameter; with `in_steps` those that stay and jump."""
        progress, parameters = self.progress, self.net.graph.parameters
        return {p.name: p.eps.value(progress) for p in parameters if p.learns and (p.eps.in_steps or not in_steps)}

    def run_training(self) -> Iterator[Event]:
        """Train until all epochs are over or `stop` is set. However it ends, the data provider is closed.

        Raises:
            ConvnetError: if another process trains this run, a cost becomes infinite or NaN, a checkpoint cannot be
                written, or the data fails: what was trained until then is saved. A folder without any checkpoint is
                removed then.
        """
        holding = locked(self.run, "training this run")
        with holding, need_told(self.net), closing(self.session.provider), closing(self.batches):
            remove_unfinished(self.run)
            try:
                yield from self._train()
            except (ConvnetError, MemoryError, KeyboardInterrupt):
                if not any(self.run.iterdir()):
                    self.run.rmdir()
                raise

    def _train(self) -> Iterator[Event]:
        try:
            yield from self._data_batches()
        except DataError as error:
            if self.state.minibatches_done == self._saved:
                raise
            yield self._saved_despite(error)
            going_on = f"convnet train --checkpoint {shlex.quote(str(self.run))} goes on"
            raise ConvnetError(f"{error}; the run is saved: {going_on}") from error

    def _data_batches(self) -> Iterator[Event]:
        """Train and test until all epochs are over, or `stop` is set and what was done is saved."""
        while not self._stopped():
            if self.state.test_due:
                yield from self._test()
            elif self.batches.finished:
                return
            else:
                yield from self._data_batch()
        yield self._save()

    def _stopped(self) -> bool:
        return self.stop

    def _data_batch(self) -> Iterator[Event]:
        """Train the current data batch, from the minibatch where training stands."""
        yield from self._set_rates()
        began, self._waited = time.monotonic(), 0.0
        with self._waiting():
            batch = self.batches.get_next_batch()
        totals = Totals(**self.state.partial, layers=self.net.graph.costs)
        with closing(batch):
            yield from self._minibatches(batch, totals)
        if totals.cases >= batch.cases:
            yield self._batch_done(batch, totals, time.monotonic() - began)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Count the time that passes as time in which data was waited for."""
        began = time.monotonic()
        yield
        self._waited += time.monotonic() - began

    def _set_rates(self) -> Iterator[Event]:
        self.net.set_progress(self.progress)
        before, self._held = self._held, self.rates(in_steps=True)
        if self._held != before:
            yield RatesChanged(self.batches.epoch, self.batches.batchnum, self.rates())

    def _minibatches(self, batch: DataBatch, totals: Totals) -> Iterator[Event]:
        net = self.net
        failures: list[DataError] = []
        for cases, costs in begun(net.begin_training, self._fed(batch, failures), net.ahead):
            self._check_finite(costs, batch.epoch, batch.batchnum)
            totals.add(costs, cases)
            self.state.minibatches_done += 1
            self.state.partial = {"sums": totals.sums, "cases": totals.cases}
            yield MinibatchDone(batch.epoch, batch.batchnum, totals.cases, batch.cases, totals.averages())
        if failures:
            raise failures[0]

    def _fed(self, batch: DataBatch, failures: list[DataError]) -> Iterator[Minibatch]:
        """The minibatches of a data batch until `stop` is set or the data fails, which is added to `failures`.

        What the device was given by then is finished.
        """
        while not self._stopped():
            try:
                with self._waiting():
                    minibatch = next(batch.minibatches, None)
            except DataError as error:
                failures.append(error)
                return
            if minibatch is None:
                return
            yield minibatch

    def _batch_done(self, batch: DataBatch, totals: Totals, seconds: float) -> BatchDone:
        """Write down that the batch is done; the manager has gone to the next one already."""
        state, costs = self.state, totals.averages()
        state.train_history.append(_entry(batch.epoch, batch.batchnum, totals))
        state.test_due = self.batches.test_is_due
        state.epoch, state.batch_idx, state.partial = self.batches.epoch, self.batches.batch_idx, {}
        state.batch_range = self.batches.batch_range
        return BatchDone(batch.epoch, batch.batchnum, totals.cases, costs, seconds, self._waited)

    def _test(self) -> Iterator[Event]:
        """Test after the batch done last, and save; if stopped meanwhile, the test stays due."""
        began, state = time.monotonic(), self.state
        with closing(evaluate(self.net, self.session.provider, self._next_test_range())) as tests:
            for totals in tests:
                yield TestRunning(totals.cases)
                if self._stopped():
                    return
        costs, last = totals.averages(), state.train_history[-1]
        self._check_finite(costs, last["epoch"], last["batchnum"])
        state.tests_done, state.test_due = state.tests_done + 1, False
        state.test_history.append(_entry(last["epoch"], last["batchnum"], totals))
        best = not state.best or test_error(costs) < state.best["error"]
        if best:
            state.best = {"error": test_error(costs), "checkpoint": state.name}
        yield TestDone(last["epoch"], last["batchnum"], totals.cases, costs, time.monotonic() - began, best)
        yield self._save()

    def _next_test_range(self) -> list[int]:
        if not self.session.options["test-one"]:
            return self.test_range
        return [self.test_range[self.state.tests_done % len(self.test_range)]]

    def _save(self) -> Saved:
        path = self.checkpoint().save(self.run)
        self._saved = self.state.minibatches_done
        remove_old(self.run, self.session.options["keep"], self.state.best.get("checkpoint"))
        return Saved(path)

    def _saved_despite(self, failure: DataError) -> Saved:
        """Save after a failure of the data, of which the message must tell also where there is no checkpoint."""
        try:
            return self._save()
        except ConvnetError as error:
            raise ConvnetError(f"{failure}; {error}") from failure

    def checkpoint(self) -> Checkpoint:
        """The present state of training."""
        session, files = self.session, self.session.files
        return Checkpoint(
            layers=files.layers.text, params=files.params.text if files.params else "",
            options=to_plain(session.options), given=to_plain(session.given), data=data_record(session.provider),
            state=self.state, weights=self.net.state(), statistics=session.provider.statistics(),
        )  # fmt: skip

    def _check_finite(self, costs: Costs, epoch: int, batchnum: int) -> None:
        for layer, metrics in costs.items():
            if not math.isfinite(metrics["cost"]):
                left = "checkpoints already written are unharmed" if checkpoints(self.run) else "nothing was written"
                raise ConvnetError(
                    f"the cost of layer '{layer}' became {metrics['cost']} in epoch {epoch}, batch {batchnum}: "
                    f"the rates may be too high; {left}"
                )


def _fit_range(state: TrainingState, batch_range: list[int]) -> None:
    """Go on with the batch of the same number in another range than before, or with the range's first one."""
    before = state.batch_range or batch_range
    if before != batch_range:
        number = before[state.batch_idx]
        if number in batch_range:
            state.batch_idx = batch_range.index(number)
        else:
            state.batch_idx, state.partial = 0, {}
    state.batch_range = batch_range


def _entry(epoch: int, batchnum: int, totals: Totals) -> dict[str, Any]:
    return {"epoch": epoch, "batchnum": batchnum, "cases": totals.cases, "costs": totals.averages()}
