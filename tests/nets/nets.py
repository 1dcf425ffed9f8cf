"""The nets that come with convnet, built from their files."""

from __future__ import annotations

from dataclasses import dataclass

from convnet.config.reader import read
from convnet.config.report import Report
from convnet.graph.build import build_graph
from convnet.graph.layer_graph import LayerGraph
from convnet.shape import Maps, Shape
from convnet.training.options import Options, read_train_section
from tests.conftest import ROOT

NAMES = ("alexnet", "cifar-local", "cifar-quick", "cifar-rnorm", "digits", "lenet5")


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
