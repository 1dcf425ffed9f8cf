"""Small nets for tests, and how to build them."""

from convnet.config.reader import parse
from convnet.config.report import Report
from convnet.graph.build import build_graph
from convnet.shape import Shape

DATA = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
"""


def graph_of(layers, params="", shapes=None, image=(3, 12, 10)):
    """The graph of these texts, for images of this shape and labels of 4 classes unless `shapes` says otherwise."""
    report = Report()
    return build_graph(
        parse(layers, "layers.cfg", report),
        parse(params, "params.cfg", report),
        shapes or [Shape.of_maps(*image), Shape(1), Shape(4)],
        report,
    )
