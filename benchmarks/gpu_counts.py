"""What a training step should take on a GPU, counted on a machine that has none, only nvcc.

    python benchmarks/gpu_counts.py --out docs/gpu-counts.md [--net alexnet:128] [--precision tf32 ...]

For every step of a training minibatch: what is launched, the operations or bytes it stands for, what nvcc reports of
the kernels for sm_90, how that fills the card, and the time that follows from the ceilings of an H100 (SXM), which can
be changed.
"""

from __future__ import annotations

from pathlib import Path

import click
import gpu_standin  # noqa: F401  before all that imports PyCUDA
from gpu_counts_table import markdown
from gpu_estimate import Card, StepCount, count
from gpu_recorder import Launched, record
from gpu_resources import resources
from nets import graph_of, name_and_mini

from convnet.backends import PRECISIONS
from convnet.backends.cuda import toolkit
from convnet.errors import ConvnetError
from convnet.graph.layer_graph import LayerGraph

CAPABILITY = 90
_CARD = Card()
_PEAKS = dict(_CARD.tflops)


def counted(graph: LayerGraph, mini: int, precision: str, card: Card) -> list[StepCount]:
    """Every step of a training minibatch."""
    recorded = record(graph, mini, precision, card.processors, CAPABILITY)
    launches = [launch for step in recorded for launch in step.launches]
    found = resources({launch.kernel for launch in launches if isinstance(launch, Launched)}, CAPABILITY)
    return [count(step, found, card, precision, mini) for step in recorded]


@click.command()
@click.option("--net", default="alexnet:128", show_default=True, help="NAME:MINI")
@click.option("--precision", "precisions", multiple=True, default=PRECISIONS, type=click.Choice(PRECISIONS))
@click.option("--processors", default=_CARD.processors, show_default=True, help="Multiprocessors of the card.")
@click.option("--fp32", default=_PEAKS["fp32"], show_default=True, help="TFLOP/s, published.")
@click.option("--tf32", default=_PEAKS["tf32"], show_default=True, help="TFLOP/s, published, dense.")
@click.option("--bf16", default=_PEAKS["bf16"], show_default=True, help="TFLOP/s, published, dense.")
@click.option("--memory", default=_CARD.tbytes, show_default=True, help="TB/s, published.")
@click.option("--mma-share", default=_CARD.mma_share, show_default=True, help="Of the rate, by mma.sync: assumed.")
@click.option("--fma-share", default=_CARD.fma_share, show_default=True, help="Of the rate, by FMAs: assumed.")
@click.option("--cublas-share", default=_CARD.cublas_share, show_default=True, help="Of the rate, by cuBLAS: assumed.")
@click.option("--memory-share", default=_CARD.memory_share, show_default=True, help="Of the bandwidth: assumed.")
@click.option("--start", default=_CARD.start, show_default=True, help="Steps of K to start and end a block: assumed.")
@click.option("--least", default=_CARD.least, show_default=True, help="us that any launch takes: assumed.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Markdown file to write.")
def main(
    net: str, precisions: tuple[str, ...], processors: int, fp32: float, tf32: float, bf16: float, memory: float,
    mma_share: float, fma_share: float, cublas_share: float, memory_share: float, start: int, least: float, out: Path,
) -> None:  # fmt: skip
    """Count the steps of a net's training minibatch."""
    peaks = (("fp32", fp32), ("tf32", tf32), ("bf16", bf16))
    card = Card(processors, peaks, memory, mma_share, fma_share, cublas_share, memory_share, start, least)
    name, mini = name_and_mini(net)
    graph, _ = graph_of(name)
    counts = {precision: counted(graph, mini, precision, card) for precision in precisions}
    version = toolkit.version(toolkit.require_nvcc()).split("release ")[-1].split(",")[0]
    command = f"python benchmarks/gpu_counts.py --net {net} --out {out}"
    page = markdown(name, mini, command, f"nvcc {version}", card, counts)
    out.write_text(page, encoding="utf-8")
    click.echo(page)


if __name__ == "__main__":
    try:
        main()
    except ConvnetError as error:
        raise SystemExit(f"benchmarks/gpu_counts.py: {error}") from None
