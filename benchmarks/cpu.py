"""Training and test steps on the CPU beside PyTorch, in one interleaved run; memory; and every layer of ours.

    python benchmarks/cpu.py [NET:MINI ...] [--json FILE]

PyTorch runs eagerly, with channels last, and compiled (with channels last), each with the malloc of a plain start and
with one that keeps its memory; the best of its ways counts. convnet runs as its users start it. Each way is a process
of its own; they take turns of a fifth of a second, or of one step that takes longer. A figure is the median of the
steps; a ratio is PyTorch's time divided by ours: above 1, we are faster.

Memory is what was resident at most (VmHWM) when the training steps were over: as a whole, and less what the process
held before the net was built, which is Python and its libraries. What compilers need counts: run it twice where
kernels are compiled for the first time. A ratio is the least of PyTorch's ways divided by ours: above 1, we need less.
"""

from __future__ import annotations

import datetime
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from cpu_table import Target, details, summary
from cpu_ways import TUNED_MALLOC, compare
from nets import graph_of, name_and_mini

from convnet.backends.cpu.device import available_cores
from convnet.errors import ConvnetError

TARGETS = {
    "alexnet:128": Target(2.0, 1.6, aim=2.5),
    "alexnet:32": Target(1.7, 1.4),
    "alexnet-owt-plain:128": Target(1.5, 1.4),
    "cifar-quick:128": Target(2.0, 1.4),
    "cifar-rnorm:128": Target(2.0, 1.4),
    "cifar-local:128": Target(3.0, 3.0),
    "lenet5:128": Target(1.3, 1.2),
}


def machine(threads: int) -> dict[str, Any]:
    """What the figures were measured with."""
    text = Path("/proc/cpuinfo").read_text(encoding="ascii") if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return {"processor": names[0] if names else "unknown", "threads": threads, "torch": version("torch"),
            "numpy": version("numpy"), "date": datetime.date.today().isoformat()}  # fmt: skip


@click.command()
@click.argument("nets", nargs=-1)
@click.option("--repeats", default=11, show_default=True, type=click.IntRange(min=1), help="Turns of each way.")
@click.option("--threads", type=click.IntRange(min=1), help="Of both programs; default: as many as there are cores.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(nets: tuple[str, ...], repeats: int, threads: int | None, path: Path | None) -> None:
    """Compare NETS with PyTorch, each NET:MINI, by name or by path of its layer file; default: those with a target."""
    nets = nets or tuple(TARGETS)
    for net in nets:
        graph_of(name_and_mini(net)[0])  # tells what is wrong with any of them before the first one is measured
    threads = threads or available_cores()
    results: list[dict[str, Any]] = []
    report = {**machine(threads), "tuned malloc": TUNED_MALLOC, "results": results}
    for net in nets:
        results.append(compare(net, repeats, threads))
        click.echo("\n".join(details(results[-1])))
        if path:  # after every net, so that an end before time loses little
            path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    click.echo("\n".join(summary(results, TARGETS)))


if __name__ == "__main__":
    try:
        main()
    except ConvnetError as error:
        raise SystemExit(f"benchmarks/cpu.py: {error}") from None
