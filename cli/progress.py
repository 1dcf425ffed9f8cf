"""What a user sees while a net trains or is tested: a bar on a terminal, plain lines for what is done everywhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import click

from convnet.layers.cost import CostLayer, in_words
from convnet.net import Costs
from convnet.training.trainer import (
    BatchDone,
    Event,
    MinibatchDone,
    RatesChanged,
    Saved,
    TestDone,
    TestRunning,
    Trainer,
)

from .header import header
from .rates import rates_in_words


class Bar:
    """A bar on a terminal's stderr; elsewhere nothing."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            # In 80 columns the bar gives way, not the words or the count.
            columns = (
                TextColumn("{task.description}", markup=False), BarColumn(20), MofNCompleteColumn(),
                TimeRemainingColumn(),
            )  # fmt: skip
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
            self._task = self._bar.add_task("reading data", total=None)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def move(self, description: str, done: int, total: int | None) -> None:
        """Show how far something is; without a total, only that it goes on."""
        if self._bar is not None:
            self._bar.update(self._task, description=description, completed=done, total=total)

    def say(self, text: str, *, err: bool = False) -> None:
        """Print a line, above the bar if there is one in the same terminal."""
        if self._bar is not None and (err or sys.stdout.isatty()):
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text, err=err)


class Reporter(Bar):
    """Prints a run's events, with a bar for the data batch under way."""

    def __init__(self) -> None:
        super().__init__()
        self._epochs = 0
        self._layers: Sequence[CostLayer] = ()
        self._classes: Sequence[str] = ()

    def header(self, trainer: Trainer, *, continued: bool) -> None:
        """What is about to happen."""
        self._epochs, session = trainer.batches.epochs, trainer.session
        self._layers, self._classes = session.graph.costs, session.provider.label_names
        for note in trainer.session.files.report.notes:
            self.say(f"note: {note}", err=True)
        for line in header(trainer, continued=continued):
            self.say(line)
        self.move("starting", 0, None)

    def show(self, event: Event) -> None:
        """Report an event."""
        if isinstance(event, MinibatchDone):
            cost = next(iter(event.costs.values()))["cost"]
            self.move(f"{self._where(event)} cost {cost:.4f}", event.done, event.total)
        elif isinstance(event, TestRunning):
            self.move("testing", event.done, None)
        elif isinstance(event, RatesChanged):
            self.say(f"  rates  {rates_in_words(event.rates)}  from {self._where(event)}")
        elif isinstance(event, BatchDone):
            costs = self._words(event.costs)
            self.say(f"{self._where(event)}  {costs}  ({event.seconds:.1f} s, {_waited(event)})")
        elif isinstance(event, TestDone):
            best, costs = "  best so far" if event.best else "", self._words(event.costs)
            self.say(f"  test  {costs}  ({event.cases} cases, {event.seconds:.1f} s){best}")
        elif isinstance(event, Saved):
            self.say(f"  saved {event.path}")

    def _where(self, event: MinibatchDone | BatchDone | RatesChanged) -> str:
        return f"epoch {event.epoch}/{self._epochs} batch {event.batchnum}"

    def _words(self, costs: Costs) -> str:
        return in_words(self._layers, costs, self._classes)

    def footer(self, trainer: Trainer) -> None:
        """How it ended and what can be done next."""
        best, path = trainer.state.best, trainer.run
        if best:
            path = trainer.run / best["checkpoint"]
            costs = trainer.state.test_history[-1]["costs"].values()
            kind = "error" if any("error" in metrics for metrics in costs) else "cost"
            self.say(f"best test {kind}: {best['error']:.4f} ({path})")
        if trainer.batches.finished:
            self.say(f"test it: convnet test --checkpoint {shlex.quote(str(path))}")
        else:
            self.say(f"go on: convnet train --checkpoint {shlex.quote(str(trainer.run))}")


def _waited(event: BatchDone) -> str:
    return f"{100 * event.waited / max(event.seconds, 1e-9):.0f} % waiting for data"
