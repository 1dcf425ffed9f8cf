"""Training and test steps on the CPU beside PyTorch, in one interleaved run.

    python benchmarks/cpu.py cifar-quick cifar-rnorm --mini 128 [--json FILE]

PyTorch runs eagerly, with channels last, and compiled; the best of its ways counts. A figure is the median of the
steps; a ratio is PyTorch's time divided by ours: above 1, we are faster.
"""

from __future__ import annotations

import datetime
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from peer import peer_of

from convnet.backends import DeviceOptions, open_device
from convnet.net import ConvNet
from convnet.training.options import merged
from convnet.training.session import describe_shapes, read_files


def ours(net: ConvNet, images: Any, labels: Any) -> tuple[Callable[[], object], Callable[[], object]]:
    """A training step and a test step of this project's net."""
    return lambda: net.train_minibatch([images, labels]), lambda: net.test_minibatch([images, labels])


def theirs(model: Any, images: Any, labels: Any, *, channels_last: bool, compiled: bool) -> tuple[Any, Any]:
    """A training step and a test step of PyTorch's net: SGD with momentum and decay, fused where PyTorch can."""
    x, y = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels).reshape(-1).long()
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4, fused=True)
    run = torch.compile(model) if compiled else model

    def train() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(run(x), y).backward()
        optimizer.step()

    def test() -> None:
        model.eval()
        with torch.no_grad():
            torch.nn.functional.cross_entropy(run(x), y)

    return train, test


def measure(steps: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The median time of each in milliseconds, after one warm-up, taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if repeat:
                times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(found) for name, found in times.items()}


def compare(name: str, mini: int, repeats: int, threads: int | None) -> dict[str, Any]:
    """Both programs on one net; times in milliseconds and ratios."""
    files = read_files(name, None)
    options = merged(files.options)
    shapes = describe_shapes(options)
    graph = files.graph(shapes, options["classes"])
    device = open_device(DeviceOptions("cpu", threads))
    torch.set_num_threads(device.threads)
    generator, maps = np.random.default_rng(0), shapes[0].maps
    assert maps is not None
    images = generator.standard_normal((mini, maps.y, maps.x, maps.channels)).astype(np.float32)
    labels = generator.integers(0, files.classes or 2, (mini, 1)).astype(np.float32)
    train, test = {}, {}
    train["convnet"], test["convnet"] = ours(ConvNet(graph, device, mini=mini), images, labels)
    for way in ("eager", "channels_last", "compiled"):
        train[way], test[way] = theirs(
            peer_of(graph), images, labels, channels_last=way != "eager", compiled=way == "compiled"
        )
    result: dict[str, Any] = {"net": name, "mini": mini}
    for kind, steps in (("train", train), ("test", test)):
        times = measure(steps, repeats)
        best = min(value for way, value in times.items() if way != "convnet")
        result[kind] = {"ms": times, "ratio": best / times["convnet"]}
    return result


def machine(threads: int) -> dict[str, Any]:
    """What the figures were measured with."""
    text = Path("/proc/cpuinfo").read_text(encoding="ascii") if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return {"processor": names[0] if names else "unknown", "threads": threads, "torch": torch.__version__,
            "numpy": np.__version__, "date": datetime.date.today().isoformat()}  # fmt: skip


@click.command()
@click.argument("nets", nargs=-1, required=True)
@click.option("--mini", default=128, show_default=True)
@click.option("--repeats", default=11, show_default=True)
@click.option("--threads", type=int)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(nets: tuple[str, ...], mini: int, repeats: int, threads: int | None, path: Path | None) -> None:
    """Compare NETS (names or layer files) with PyTorch."""
    results = [compare(net, mini, repeats, threads) for net in nets]
    for result in results:
        for kind in ("train", "test"):
            times = ", ".join(f"{way} {ms:.1f}" for way, ms in result[kind]["ms"].items())
            click.echo(f"{result['net']:12} {kind:5} ms: {times}; PyTorch / convnet {result[kind]['ratio']:.2f}")
    if path:
        described = {**machine(open_device(DeviceOptions("cpu", threads)).threads), "results": results}
        path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
