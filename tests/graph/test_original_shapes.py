"""The originals' cfg files give the shapes that the original parsers gave."""

import json

import pytest

from convnet.config.reader import read
from convnet.config.report import Report
from convnet.graph.build import build_graph
from convnet.graph.describe import describe
from convnet.shape import Shape


def test_published_nets_have_the_published_shapes(reference_files):
    nets = json.loads((reference_files / "expected-shapes.json").read_text())
    assert len(nets) == 18
    for net in nets:
        folder = reference_files / "original-cfgs" / net["dialect"]
        report = Report()
        size = net["input_size"]
        shapes = [Shape.of_maps(3, size, size), Shape(1)]
        graph = build_graph(read(folder / net["layers"], report), read(folder / net["params"], report), shapes, report)
        described = describe(graph)
        assert described["parameters"] == net["parameters"], net["layers"]
        layers = {layer["name"]: layer for layer in described["layers"]}
        assert set(layers) == {layer["name"] for layer in net["result"]}
        for expected in net["result"]:
            found = layers[expected["name"]]
            assert {key: found[key] for key in expected} == expected, net["layers"]


def test_the_example_file_that_the_originals_cannot_read_is_refused_with_all_its_errors(reference_files):
    folder = reference_files / "original-cfgs" / "cuda-convnet"
    report = Report()
    with pytest.raises(Exception, match=r"\[rnorm1\] size: expected an integer of at least 1") as caught:
        build_graph(
            read(folder / "layers-example.cfg", report), read(folder / "layer-params-example.cfg", report),
            [Shape.of_maps(3, 32, 32), Shape(1)], report,
        )  # fmt: skip
    print(caught.value)
