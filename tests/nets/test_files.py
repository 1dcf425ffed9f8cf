"""The cfg files that come with convnet: pairs without errors or notes, of the sizes that were published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convnet.graph.describe import describe
from convnet.shape import Maps
from tests.conftest import ROOT
from tests.nets.nets import NAMES, build

# [rows, columns] of every weight matrix, worked out by hand: fan-in of a filter, filters.
WEIGHTS = {
    "alexnet": {
        "conv1": [3 * 121, 96], "conv2": [48 * 25, 256], "conv3": [256 * 9, 384], "conv4": [192 * 9, 384],
        "conv5": [192 * 9, 256], "fc6": [256 * 36, 4096], "fc7": [4096, 4096], "fc8": [4096, 1000],
    },
    "cifar-local": {
        "conv1": [75, 64], "conv2": [1600, 64], "local3": [36 * 576, 32], "local4": [36 * 288, 32],
        "fc10": [32 * 36, 10],
    },
    "cifar-quick": {"conv1": [75, 32], "conv2": [800, 32], "conv3": [800, 64], "fc64": [1024, 64], "fc10": [64, 10]},
    "cifar-rnorm": {"conv1": [75, 32], "conv2": [800, 32], "conv3": [800, 64], "fc10": [1024, 10]},
    "digits": {"conv1": [9, 32], "conv2": [288, 64], "fc10": [256, 10]},
    "lenet5": {"conv1": [25, 20], "conv2": [500, 50], "fc500": [800, 500], "fc10": [500, 10]},
}  # fmt: skip
# Weights and biases. AlexNet's is the sum over the paper's layers; the others but the last two are cuda-convnet's own
# counts. The biases of local layers are 32 * 36 each.
PARAMETERS = {
    "alexnet": 60_965_224,
    "cifar-local": 1_116_490,
    "cifar-quick": 145_578,
    "cifar-rnorm": 89_578,
    "digits": 9 * 32 + 32 + 288 * 64 + 64 + 2560 + 10,
    "lenet5": 431_080,
}
MAPS = {
    "alexnet": {
        "conv1": [96, 55, 55], "rnorm1": [96, 55, 55], "pool1": [96, 27, 27], "conv2": [256, 27, 27],
        "rnorm2": [256, 27, 27], "pool2": [256, 13, 13], "conv3": [384, 13, 13], "conv4": [384, 13, 13],
        "conv5": [256, 13, 13], "pool5": [256, 6, 6],
    },
    "cifar-local": {"conv1": [64, 24, 24], "pool1": [64, 12, 12], "conv2": [64, 12, 12], "pool2": [64, 6, 6],
                    "local3": [32, 6, 6], "local4": [32, 6, 6]},
    "cifar-quick": {"conv1": [32, 32, 32], "pool1": [32, 16, 16], "conv2": [32, 16, 16], "pool2": [32, 8, 8],
                    "conv3": [64, 8, 8], "pool3": [64, 4, 4]},
    "cifar-rnorm": {"pool1": [32, 16, 16], "rnorm1": [32, 16, 16], "pool2": [32, 8, 8], "rnorm2": [32, 8, 8],
                    "pool3": [64, 4, 4]},
    "digits": {"conv1": [32, 8, 8], "pool1": [32, 4, 4], "conv2": [64, 4, 4], "pool2": [64, 2, 2]},
    "lenet5": {"conv1": [20, 24, 24], "pool1": [20, 12, 12], "conv2": [50, 8, 8], "pool2": [50, 4, 4]},
}  # fmt: skip
# What cuda-convnet calls the nets whose layers have the same names here. The originals' fc10_neuron is ident: nothing.
ORIGINALS = {
    "cifar-local": "layers-conv-local-13pct.cfg", "cifar-quick": "layers-80sec.cfg", "cifar-rnorm": "layers-18pct.cfg",
}  # fmt: skip


@pytest.mark.parametrize("folder", ["layers-cfg", "params-cfg"])
def test_every_net_has_both_files(folder: str) -> None:
    assert tuple(sorted(path.stem for path in (ROOT / folder).iterdir())) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_files_are_without_errors_and_notes(name: str) -> None:
    assert build(name).report.notes == []


@pytest.mark.parametrize("name", NAMES)
def test_shapes(name: str) -> None:
    described = describe(build(name).graph)
    assert described["parameters"] == PARAMETERS[name]
    layers = {layer["name"]: layer for layer in described["layers"]}
    assert {key: layer["weights"][0] for key, layer in layers.items() if layer["weights"]} == WEIGHTS[name]
    assert {key: layers[key]["maps"] for key in MAPS[name]} == MAPS[name]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "digits"])
def test_the_number_of_parameters_in_the_comments_is_right(name: str) -> None:
    text = (ROOT / "layers-cfg" / f"{name}.cfg").read_text(encoding="utf-8")
    assert f"{PARAMETERS[name]:,}" in text


def test_cifar_local_without_cropping() -> None:
    graph = build("cifar-local", Maps(3, 32, 32)).graph
    assert graph.size == 1_901_386
    assert f"{graph.size:,}" in (ROOT / "layers-cfg" / "cifar-local.cfg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ORIGINALS)
def test_every_layer_has_the_shape_of_the_originals(name: str, reference_files: Path) -> None:
    nets = json.loads((reference_files / "expected-shapes.json").read_text())
    net = next(net for net in nets if net["layers"] == ORIGINALS[name] and net["input_size"] == 32)
    layers = {layer["name"]: layer for layer in describe(build(name, Maps(3, 32, 32)).graph)["layers"]}
    expected = [layer for layer in net["result"] if layer["name"] != "fc10_neuron"]
    assert [{key: layers[layer["name"]][key] for key in layer} for layer in expected] == expected
    assert list(layers) == [layer["name"] for layer in expected]


@pytest.mark.parametrize("folder", ["layers-cfg", "params-cfg"])
@pytest.mark.parametrize("name", NAMES)
def test_lines_are_short_and_comments_are_on_their_own(name: str, folder: str) -> None:
    lines = (ROOT / folder / f"{name}.cfg").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 120
    assert not [line for line in lines if not line.startswith("#") and ("#" in line or " " in line)]
