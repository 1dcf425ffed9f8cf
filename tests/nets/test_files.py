"""The cfg files that come with convnet: pairs without errors or notes, of the sizes that were published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convnet.graph.describe import describe
from convnet.shape import Maps
from tests.conftest import ROOT
from tests.nets.nets import NAMES, build

# [rows, columns] of every weight matrix, worked out by hand: fan-in of a filter, filters.
FOUR_LAYERS = {"conv1": [75, 32], "conv2": [800, 32], "conv3": [800, 64], "fc10": [1024, 10]}
HALVES = ("1a", "1b", "2a", "2b", "3a", "3b")  # of the residual blocks of a stage
WEIGHTS = {
    "alexnet": {
        "conv1": [3 * 121, 96], "conv2": [48 * 25, 256], "conv3": [256 * 9, 384], "conv4": [192 * 9, 384],
        "conv5": [192 * 9, 256], "fc6": [256 * 36, 4096], "fc7": [4096, 4096], "fc8": [4096, 1000],
    },
    "alexnet-2gpu": {
        **{f"conv1{tower}": [3 * 121, 48] for tower in "ab"}, **{f"conv2{tower}": [48 * 25, 128] for tower in "ab"},
        **{f"conv3{tower}": [[128 * 9, 192]] * 2 for tower in "ab"}, **{f"conv4{t}": [192 * 9, 192] for t in "ab"},
        **{f"conv5{tower}": [192 * 9, 128] for tower in "ab"}, **{f"fc6{t}": [[128 * 36, 2048]] * 2 for t in "ab"},
        **{f"fc7{tower}": [[2048, 2048]] * 2 for tower in "ab"}, "fc8": [[2048, 1000]] * 2,
    },
    "alexnet-owt": {
        "conv1": [3 * 121, 64], "conv2": [64 * 25, 192], "conv3": [192 * 9, 384], "conv4": [384 * 9, 256],
        "conv5": [256 * 9, 256], "fc4096a": [256 * 36, 4096], "fc4096b": [4096, 4096], "fc1000": [4096, 1000],
    },
    "cifar-local": {
        "conv1": [75, 64], "conv2": [1600, 64], "local3": [36 * 576, 32], "local4": [36 * 288, 32],
        "fc10": [32 * 36, 10],
    },
    "cifar-local-rnorm": {
        "conv1": [75, 64], "conv2": [1600, 64], "local3": [36 * 576, 64], "local4": [36 * 576, 32],
        "fc10": [32 * 36, 10],
    },
    "cifar-quick": {"conv1": [75, 32], "conv2": [800, 32], "conv3": [800, 64], "fc64": [1024, 64], "fc10": [64, 10]},
    "cifar-relu": FOUR_LAYERS,
    "cifar-resnet": {
        "conv1": [27, 16], "norm1": [1, 16], "fc10": [64, 10],
        **{f"conv1{half}": [9 * 16, 16] for half in HALVES}, **{f"norm1{half}": [1, 16] for half in HALVES},
        **{f"conv2{half}": [9 * 32, 32] for half in HALVES}, **{f"norm2{half}": [1, 32] for half in HALVES},
        **{f"conv3{half}": [9 * 64, 64] for half in HALVES}, **{f"norm3{half}": [1, 64] for half in HALVES},
        "conv21a": [9 * 16, 32], "conv31a": [9 * 32, 64],
    },
    "cifar-rnorm": FOUR_LAYERS,
    "cifar-tanh": FOUR_LAYERS,
    "dannet": {
        "conv1": [3 * 49, 100], "conv2": [100 * 16, 150], "conv3": [150 * 16, 250], "fc300": [250 * 9, 300],
        "fc43": [300, 43],
    },
    "digits": {"conv1": [9, 32], "conv2": [288, 64], "fc10": [256, 10]},
    "lenet5": {"conv1": [25, 20], "conv2": [500, 50], "fc500": [800, 500], "fc10": [500, 10]},
}  # fmt: skip
# Weights and biases. AlexNet's is the sum over the paper's layers, on one device or two; alexnet-owt's and those of the
# nets in ORIGINALS are the originals' own counts. ResNet-20's is that of its convolutions (267,696), of scales and
# shifts (twice 688 maps) and of the last layer, and here 688 biases of convolutions.
PARAMETERS = {
    "alexnet": 60_965_224,
    "alexnet-2gpu": 60_965_224,
    "alexnet-owt": 61_100_840,
    "cifar-local": 1_116_490,
    "cifar-local-rnorm": 2_112_970,
    "cifar-quick": 145_578,
    "cifar-relu": 89_578,
    "cifar-resnet": 267_696 + 2 * 688 + 650 + 688,
    "cifar-rnorm": 89_578,
    "cifar-tanh": 89_578,
    "dannet": 14_800 + 240_150 + 600_250 + 675_300 + 12_943,
    "digits": 9 * 32 + 32 + 288 * 64 + 64 + 2560 + 10,
    "lenet5": 431_080,
}
FOUR_LAYERS_MAPS = {"conv1": [32, 32, 32], "pool1": [32, 16, 16], "conv2": [32, 16, 16], "pool2": [32, 8, 8],
                    "conv3": [64, 8, 8], "pool3": [64, 4, 4]}  # fmt: skip
MAPS = {
    "alexnet": {
        "conv1": [96, 55, 55], "rnorm1": [96, 55, 55], "pool1": [96, 27, 27], "conv2": [256, 27, 27],
        "rnorm2": [256, 27, 27], "pool2": [256, 13, 13], "conv3": [384, 13, 13], "conv4": [384, 13, 13],
        "conv5": [256, 13, 13], "pool5": [256, 6, 6],
    },
    "alexnet-2gpu": {
        **{f"conv1{tower}": [48, 55, 55] for tower in "ab"}, **{f"pool1{tower}": [48, 27, 27] for tower in "ab"},
        **{f"conv2{tower}": [128, 27, 27] for tower in "ab"}, **{f"pool2{tower}": [128, 13, 13] for tower in "ab"},
        **{f"conv3{tower}": [192, 13, 13] for tower in "ab"}, **{f"conv4{tower}": [192, 13, 13] for tower in "ab"},
        **{f"conv5{tower}": [128, 13, 13] for tower in "ab"}, **{f"pool5{tower}": [128, 6, 6] for tower in "ab"},
    },
    "alexnet-owt": {
        "conv1": [64, 55, 55], "pool1": [64, 27, 27], "conv2": [192, 27, 27], "pool2": [192, 13, 13],
        "conv3": [384, 13, 13], "conv4": [256, 13, 13], "conv5": [256, 13, 13], "pool3": [256, 6, 6],
    },
    "cifar-local": {"conv1": [64, 24, 24], "pool1": [64, 12, 12], "conv2": [64, 12, 12], "pool2": [64, 6, 6],
                    "local3": [32, 6, 6], "local4": [32, 6, 6]},
    "cifar-local-rnorm": {"conv1": [64, 24, 24], "pool1": [64, 12, 12], "rnorm1": [64, 12, 12], "conv2": [64, 12, 12],
                          "rnorm2": [64, 12, 12], "pool2": [64, 6, 6], "local3": [64, 6, 6], "local4": [32, 6, 6]},
    "cifar-quick": {"conv1": [32, 32, 32], "pool1": [32, 16, 16], "conv2": [32, 16, 16], "pool2": [32, 8, 8],
                    "conv3": [64, 8, 8], "pool3": [64, 4, 4]},
    "cifar-relu": FOUR_LAYERS_MAPS,
    "cifar-resnet": {"conv1": [16, 28, 28], "sum11": [16, 28, 28], "sum13": [16, 28, 28], "wide2": [32, 14, 14],
                     "sum21": [32, 14, 14], "wide3": [64, 7, 7], "sum33": [64, 7, 7], "pool": [64, 1, 1]},
    "cifar-rnorm": {"pool1": [32, 16, 16], "rnorm1": [32, 16, 16], "pool2": [32, 8, 8], "rnorm2": [32, 8, 8],
                    "pool3": [64, 4, 4]},
    "cifar-tanh": FOUR_LAYERS_MAPS,
    "dannet": {"conv1": [100, 42, 42], "pool1": [100, 21, 21], "conv2": [150, 18, 18], "pool2": [150, 9, 9],
               "conv3": [250, 6, 6], "pool3": [250, 3, 3]},
    "digits": {"conv1": [32, 8, 8], "pool1": [32, 4, 4], "conv2": [64, 4, 4], "pool2": [64, 2, 2]},
    "lenet5": {"conv1": [20, 24, 24], "pool1": [20, 12, 12], "conv2": [50, 8, 8], "pool2": [50, 4, 4]},
}  # fmt: skip
# What cuda-convnet calls the nets whose layers have the same names here. The originals' fc10_neuron is ident: nothing.
ORIGINALS = {
    "cifar-local": "layers-conv-local-13pct.cfg", "cifar-local-rnorm": "layers-conv-local-11pct.cfg",
    "cifar-quick": "layers-80sec.cfg", "cifar-rnorm": "layers-18pct.cfg",
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
    matrices = {key: layer["weights"] for key, layer in layers.items() if layer["weights"]}
    assert {key: found[0] if len(found) == 1 else found for key, found in matrices.items()} == WEIGHTS[name]
    assert {key: layers[key]["maps"] for key in MAPS[name]} == MAPS[name]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "digits"])
def test_the_number_of_parameters_in_the_comments_is_right(name: str) -> None:
    text = (ROOT / "layers-cfg" / f"{name}.cfg").read_text(encoding="utf-8")
    assert f"{PARAMETERS[name]:,}" in text


@pytest.mark.parametrize(("name", "size"), [("cifar-local", 1_901_386), ("cifar-local-rnorm", 3_672_906)])
def test_local_nets_without_cropping(name: str, size: int) -> None:
    assert build(name, Maps(3, 32, 32)).graph.size == size
    assert f"{size:,}" in (ROOT / "layers-cfg" / f"{name}.cfg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ORIGINALS)
def test_every_layer_has_the_shape_of_the_originals(name: str, reference_files: Path) -> None:
    nets = json.loads((reference_files / "expected-shapes.json").read_text())
    net = next(net for net in nets if net["layers"] == ORIGINALS[name] and net["input_size"] == 32)
    layers = {layer["name"]: layer for layer in describe(build(name, Maps(3, 32, 32)).graph)["layers"]}
    expected = [layer for layer in net["result"] if layer["name"] != "fc10_neuron"]
    assert [{key: layers[layer["name"]][key] for key in layer} for layer in expected] == expected
    assert list(layers) == [layer["name"] for layer in expected]


def described_original(folder: Path, layers: str) -> list[dict[str, Any]]:
    """What cuda-convnet2's parser made of the layers of this file, for images of 224x224."""
    nets = json.loads((folder / "expected-shapes.json").read_text())
    found: list[dict[str, Any]] = next(net["result"] for net in nets if net["layers"] == layers)
    return found


def test_every_layer_of_alexnet_owt_has_the_shape_of_the_originals(reference_files: Path) -> None:
    expected = {layer["name"]: layer for layer in described_original(reference_files, "layers-imagenet-1gpu.cfg")}
    expected["labels"] = {**expected.pop("labvec"), "name": "labels"}
    layers = {layer["name"]: layer for layer in describe(build("alexnet-owt").graph)["layers"]}
    assert layers.keys() == expected.keys()
    for name, layer in expected.items():
        assert {key: layers[name][key] for key in layer} == layer


def test_the_towers_have_the_matrices_and_devices_of_cuda_convnet2s(reference_files: Path) -> None:
    """Its net of two towers has other layers without weights, and other names."""
    originals = described_original(reference_files, "layers-imagenet-2gpu-model.cfg")
    layers = describe(build("alexnet-2gpu").graph)["layers"]
    found, expected = (
        [(layer["weights"], layer["biases"], layer["gpu"]) for layer in some if layer.get("weights")]
        for some in (layers, originals)
    )
    assert found == expected


@pytest.mark.parametrize("folder", ["layers-cfg", "params-cfg"])
@pytest.mark.parametrize("name", NAMES)
def test_lines_are_short_and_comments_are_on_their_own(name: str, folder: str) -> None:
    lines = (ROOT / folder / f"{name}.cfg").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 120
    assert not [line for line in lines if not line.startswith("#") and ("#" in line or " " in line)]
