"""Draws the errors of runs over their epochs, from the histories in their newest checkpoints. Needs matplotlib.

    python benchmarks/curves.py --out docs/curves/NAME.png [--title TEXT] [--training] NAME=RUN ...

Lines through the test errors; with --training those of the training cases, dashed, averaged over each epoch. Several
tests in one epoch are averaged, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl

from convnet.training.checkpoint import Checkpoint, newest
from convnet.training.evaluate import test_error

mpl.use("agg")
import matplotlib.pyplot as plt

Points = dict[int, float]  # by epoch, in percent


def by_epoch(history: Sequence[dict[str, Any]]) -> Points:
    """The mean error of each epoch, weighted by cases."""
    errors, cases = defaultdict(float), defaultdict(int)
    for entry in history:
        errors[entry["epoch"]] += test_error(entry["costs"]) * entry["cases"]
        cases[entry["epoch"]] += entry["cases"]
    return {epoch: 100 * total / cases[epoch] for epoch, total in errors.items()}


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--title", default="")
@click.option("--training", is_flag=True, help="Training errors, too.")
@click.option("--line", type=float, help="A level to mark, in percent.")
def main(runs: tuple[str, ...], out: Path, title: str, *, training: bool, line: float | None) -> None:
    """Draw the curves of runs given as NAME=FOLDER."""
    figure, axes = plt.subplots(figsize=(7, 4), dpi=110)
    for run in runs:
        name, _, folder = run.partition("=")
        state = Checkpoint.load(newest(Path(folder))).state
        tests = by_epoch(state.test_history)
        (drawn,) = axes.plot(list(tests), list(tests.values()), label=f"{name}, test")
        if training:
            trained = by_epoch(state.train_history)
            axes.plot(list(trained), list(trained.values()), "--", color=drawn.get_color(), label=f"{name}, training")
    if line is not None:
        axes.axhline(line, color="grey", linewidth=0.8)
    axes.set(xlabel="epoch", ylabel="error, %", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, bbox_inches="tight")


if __name__ == "__main__":
    main()
