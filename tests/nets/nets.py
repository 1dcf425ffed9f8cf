"""The nets that come with convnet, built from their files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from convnet.config.reader import parse, read
from convnet.config.report import Report
from convnet.graph.build import build_graph
from convnet.graph.layer_graph import LayerGraph, Node
from convnet.shape import Maps, Shape
from convnet.training.options import Options, read_train_section
from tests.conftest import ROOT

NAMES = (
    "alexnet", "alexnet-2gpu", "alexnet-owt", "cifar-local", "cifar-local-rnorm", "cifar-quick", "cifar-relu",
    "cifar-resnet", "cifar-rnorm", "cifar-tanh", "dannet", "digits", "lenet5",
)  # fmt: skip


@dataclass
class Net:
    """A net's graph, what [train] sets, and the report of reading both files."""

    graph: LayerGraph
    options: Options
    report: Report


def build(name: str, maps: Maps | None = None) -> Net:
    """The net with its parameter file, for images of these maps or of the ones that [train] names."""
    report = Report()
    layers = read(ROOT / "layers-cfg" / f"{name}.cfg", report)
    params = read(ROOT / "params-cfg" / f"{name}.cfg", report)
    options = read_train_section(params, layers, report)
    shapes = [Shape.of_maps(*(maps or options["input"])), Shape(1)]
    return Net(build_graph(layers, params, shapes, report), options, report)


def below(node: Node) -> list[str]:
    """The names of the layers that a layer reads, those of neurons less `_neuron`."""
    return [one.name.removesuffix("_neuron") for one in node.inputs]


# By what to divide numbers of filters and maps, and images that leave something to pool at the top.
SCALES = {
    "alexnet": (16, Maps(3, 67, 67)), "alexnet-2gpu": (8, Maps(3, 67, 67)), "alexnet-owt": (8, Maps(3, 67, 67)),
    "cifar-local": (8, Maps(3, 14, 14)), "cifar-local-rnorm": (4, Maps(3, 14, 14)), "cifar-quick": (8, Maps(3, 16, 16)),
    "cifar-relu": (8, Maps(3, 14, 14)), "cifar-resnet": (8, Maps(3, 8, 8)),
    "cifar-rnorm": (8, Maps(3, 15, 15)), "cifar-tanh": (8, Maps(3, 14, 14)),
    "dannet": (10, Maps(3, 30, 30)), "digits": (8, Maps(1, 8, 8)), "lenet5": (5, Maps(1, 20, 20)),
}  # fmt: skip


def scaled(name: str, factor: int | None = None, edit: Callable[[str], str] = str) -> LayerGraph:
    """The net made small: fewer filters, smaller fc layers and images, all else as it is; the last layer of 10.

    factor: another one than that of SCALES. edit: gives the layer file that is meant instead.
    """
    usual, maps = SCALES[name]
    factor = factor or usual

    def divide(match: re.Match[str]) -> str:
        key, number = match[1], int(match[2])
        if key == "outputs":
            return f"outputs={10 if number in (10, 43, 1000) else number // 64}"
        return f"{key}={number if number <= 3 else number // factor}"

    report = Report()
    whole = read(ROOT / "layers-cfg" / f"{name}.cfg", report)
    text = re.sub(r"^(outputs|filters|channels)=(\d+)", divide, whole.text, flags=re.MULTILINE)
    params = read(ROOT / "params-cfg" / f"{name}.cfg", report)
    layers = parse(edit(text), whole.path, report)
    read_train_section(params, layers, report)
    return build_graph(layers, params, [Shape.of_maps(*maps), Shape(1)], report)
