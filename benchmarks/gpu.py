"""Training steps on a GPU beside PyTorch on the same card, and every layer against what the card can do.

    python benchmarks/gpu.py --out benchmarks/results/gpu-NAME [--net alexnet:128 ...] [--precision tf32 ...]

Writes NAME.json and NAME.md. PyTorch runs eagerly, with channels last, and compiled; the best of its ways counts. All
data lies on the card. A step's time is the median of the times between CUDA events, with the queue kept full; a ratio
is PyTorch's time divided by ours: above 1, we are faster.
"""

from __future__ import annotations

import datetime
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import pycuda.driver as cuda
from gpu_layers import ceilings, layers
from gpu_table import markdown
from gpu_timing import CudaMarks
from nets import graph_of, minibatch, name_and_mini

from convnet.backends import PRECISIONS, DeviceOptions, open_device
from convnet.backends.cuda.device import CudaDevice
from convnet.errors import ConvnetError
from convnet.graph.layer_graph import LayerGraph
from convnet.net import ConvNet

SMALL = (64, 1 << 20)  # side of matrices and bytes for --quick
NETS = ("alexnet:128", "alexnet:256", "alexnet:1024", "cifar-quick:128", "cifar-rnorm:128", "cifar-local:128")


def ours(graph: LayerGraph, data: list[Any], device: CudaDevice, repeats: int) -> dict[str, float]:
    """A training step and a test step of this project's net, in ms, and a training step fed from the host."""
    mini = len(data[0])
    net = ConvNet(graph, device, mini=mini)
    net.train_minibatch(data)
    programs = {kind: net.bound.program(training=kind == "train", cases=mini) for kind in ("train", "test")}

    def run(kind: str) -> None:
        for _, launch in programs[kind]:
            launch()

    marks = CudaMarks(device.stream)
    times = {kind: marks.median_ms(partial(run, kind), repeats) for kind in programs}
    times["train, fed"] = marks.median_ms(lambda: net.begin_training(data), repeats)
    return times


def compare(net: str, precision: str, repeats: int, *, peer: bool) -> dict[str, Any]:
    """Both programs on one net at one precision."""
    name, mini = name_and_mini(net)
    graph, classes = graph_of(name)
    data = minibatch(graph, classes, mini)
    device = _open(precision)
    result: dict[str, Any] = {"net": name, "mini": mini, "precision": precision}
    result["convnet"] = ours(graph, data, device, repeats)
    if not peer:
        return result
    from gpu_peer import theirs

    try:
        result["pytorch"] = theirs(graph, data, precision, repeats)
    except ValueError:  # the peer has no such net
        return result
    for kind in ("train", "test"):
        best = min(times[kind] for times in result["pytorch"].values())
        result[f"{kind} ratio"] = best / result["convnet"][kind]
    return result


def _open(precision: str) -> CudaDevice:
    device = open_device(DeviceOptions("cuda", precision=precision))
    assert isinstance(device, CudaDevice)
    return device


@click.command()
@click.option("--net", "nets", multiple=True, default=NETS, show_default=True, help="NAME:MINI")
@click.option("--precision", "precisions", multiple=True, default=PRECISIONS, type=click.Choice(PRECISIONS))
@click.option("--repeats", default=40, show_default=True)
@click.option("--layers", "layer_nets", multiple=True, default=("alexnet:128",), show_default=True, help="NAME:MINI")
@click.option("--peer/--no-peer", default=True, help="Run PyTorch too.")
@click.option(
    "--minutes", default=7.5, show_default=True, help="Begin nothing later than this; what is left out is told."
)
@click.option("--quick", is_flag=True, help="Small ceilings, to try the program.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Files to write, without their ending.")
def main(
    nets: tuple[str, ...], precisions: tuple[str, ...], repeats: int, layer_nets: tuple[str, ...], peer: bool,
    minutes: float, quick: bool, out: Path,
) -> None:  # fmt: skip
    """Compare nets with PyTorch, and their layers with the card."""
    end = time.monotonic() + 60 * minutes
    found = {precision: ceilings(_open(precision), *SMALL if quick else ()) for precision in precisions}
    report: dict[str, Any] = {
        "gpu": _open("fp32").name, "driver": cuda.get_driver_version(), "date": datetime.date.today().isoformat(),
        "ceilings": found, "steps": [], "layers": [], "left out": [],
    }  # fmt: skip
    steps = [("steps", net, precision) for net in nets for precision in precisions]
    of_layers = [("layers", net, precision) for net in layer_nets for precision in precisions]
    first = len(precisions)  # the layers come behind the first net: time may run out
    for part, net, precision in [*steps[:first], *of_layers, *steps[first:]]:
        if time.monotonic() > end:
            report["left out"].append(f"{part} of {net}, {precision}")
        elif part == "steps":
            report[part].append(compare(net, precision, repeats, peer=peer))
        else:
            report[part].append(of_each_layer(net, precision, found[precision]))
        _write(report, out)
    click.echo(markdown(report))


def of_each_layer(net: str, precision: str, ceiling: dict[str, float]) -> dict[str, Any]:
    """What every step of a net's training reaches at one precision."""
    name, mini = name_and_mini(net)
    graph, classes = graph_of(name)
    rows = layers(graph, minibatch(graph, classes, mini), _open(precision), ceiling)
    return {"net": name, "mini": mini, "precision": precision, "rows": rows}


def _write(report: dict[str, Any], out: Path) -> None:
    """After every result, so that an end before time loses little."""
    out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(markdown(report), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except ConvnetError as error:
        raise SystemExit(f"benchmarks/gpu.py: {error}") from None
