"""The originals' cfg files give the shapes that the original parsers gave."""

import json

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


def test_the_example_file_of_all_layer_types(reference_files):
    """The originals cannot read it: its normalizations are those of a still older version. With random connections."""
    folder, report = reference_files / "original-cfgs" / "cuda-convnet", Report()
    layers, params = (read(folder / name, report) for name in ("layers-example.cfg", "layer-params-example.cfg"))
    described = describe(build_graph(layers, params, [Shape.of_maps(3, 32, 32), Shape(1)], report))
    assert described["parameters"] == 88473482
    found = {layer["name"]: layer for layer in described["layers"]}
    assert found["conv32-3"]["maps"] == [128, 8, 8]
    assert found["conv32-3"]["weights"] == [[64 * 25, 128]]
    assert found["conv32-2"]["biases"] == [28800, 1]
