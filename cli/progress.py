"""What a user sees while a net trains: a progress bar on a terminal, plain lines for what is done everywhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

import click

from convnet.net import Costs
from convnet.training.trainer import BatchDone, Event, MinibatchDone, Saved, TestDone, TestRunning, Trainer


def in_words(costs: Costs) -> str:
    """`logprob: cost 1.234, error 0.456` for each cost layer."""
    return "; ".join(
        f"{layer}: " + ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in metrics.items())
        for layer, metrics in costs.items()
    )


class Reporter:
    """Prints events; on a terminal also a bar for the data batch under way."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._epochs = 0

    def __enter__(self) -> Reporter:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
            self._task = self._bar.add_task("preparing", total=None)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one in the same terminal."""
        if self._bar is not None and sys.stdout.isatty():
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text)

    def header(self, trainer: Trainer) -> None:
        """What is about to happen."""
        session = trainer.session
        self._epochs = trainer.batches.epochs
        for note in session.files.report.notes:
            click.echo(f"note: {note}", err=True)
        self.say(f"data: {session.provider.describe()}")
        if session.provider.sample:
            self.say("      (--data PATH trains on your own)")
        self.say(
            f"net:  {session.files.layers.path}, {session.graph.size:,} parameters, minibatches of {trainer.net.mini}, "
            f"on {trainer.net.device}"
        )
        batches = trainer.batches
        self.say(f"run:  {trainer.run}, {batches.epochs} epochs of {len(batches.batch_range)} data batches")

    def show(self, event: Event) -> None:
        """Report an event."""
        if isinstance(event, MinibatchDone):
            self._move(f"{self._where(event)}  {in_words(event.costs)}", event.done, event.total)
        elif isinstance(event, TestRunning):
            self._move("testing", event.done, None)
        elif isinstance(event, BatchDone):
            self.say(f"{self._where(event)}  {in_words(event.costs)}  ({event.seconds:.1f} s, {_waited(event)})")
        elif isinstance(event, TestDone):
            best = "  best so far" if event.best else ""
            self.say(f"  test  {in_words(event.costs)}  ({event.cases} cases, {event.seconds:.1f} s){best}")
        elif isinstance(event, Saved):
            self.say(f"  saved {event.path}")

    def _where(self, event: MinibatchDone | BatchDone) -> str:
        return f"epoch {event.epoch}/{self._epochs} batch {event.batchnum}"

    def _move(self, description: str, done: int, total: int | None) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=description, completed=done, total=total)

    def footer(self, trainer: Trainer) -> None:
        """How it ended and what can be done next."""
        best = trainer.state.best
        if best:
            self.say(f"best test error: {best['error']:.4f} ({trainer.run / best['checkpoint']})")
        if trainer.batches.finished:
            self.say(f"test it: convnet test --checkpoint {trainer.run}")
        else:
            self.say(f"go on: convnet train --checkpoint {trainer.run}")


def _waited(event: BatchDone) -> str:
    return f"{100 * event.waited / max(event.seconds, 1e-9):.0f} % waiting for data"
