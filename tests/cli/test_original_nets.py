"""The originals' cfg files through the command line: what `describe --json` says is what their parsers made of them."""

import json

from .conftest import convnet


def test_describe_agrees_with_the_original_parsers(reference_files):
    nets = json.loads((reference_files / "expected-shapes.json").read_text())
    assert len(nets) == 18
    for net in nets:
        folder, size = reference_files / "original-cfgs" / net["dialect"], net["input_size"]
        files = ("--layers", folder / net["layers"], "--params", folder / net["params"])
        found = json.loads(convnet("describe", *files, "--input", f"3x{size}x{size}", "--json").stdout)
        assert found["parameters"] == net["parameters"], net["layers"]
        layers = {layer["name"]: layer for layer in found["layers"]}
        assert set(layers) == {layer["name"] for layer in net["result"]}
        for expected in net["result"]:
            assert {key: layers[expected["name"]][key] for key in expected} == expected, net["layers"]
        devices = {gpu for layer in found["layers"] for gpu in layer["gpu"]}
        assert [device["device"] for device in found.get("devices", [{"device": 0}])] == sorted(devices)
