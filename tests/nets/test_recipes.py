"""The nets' constants and how they learn are those that were published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convnet.config.reader import read
from convnet.config.report import Report
from convnet.layers.norm import NormLayer
from convnet.weights.schedule import ParameterSchedule, parse_schedule
from tests.nets.nets import NAMES, build

ORIGINALS = {
    "cifar-local": "conv-local-13pct.cfg",
    "cifar-quick": "80sec.cfg",
    "cifar-rnorm": "18pct.cfg",
}


def rates(name: str) -> dict[str, tuple[ParameterSchedule, ParameterSchedule]]:
    """epsW and epsB of each layer that has them."""
    layers = (node.layer for node in build(name).graph.nodes)
    return {layer.name: (layer.learning["epsW"][0], layer.learning["epsB"]) for layer in layers if layer.weights}


def values(name: str, layer: str) -> dict[str, Any]:
    """What both files say about a layer."""
    found = build(name).graph[layer].layer
    return {**found.values, **found.learning}


def test_alexnet_has_the_papers_initial_values() -> None:
    layers = [node.layer for node in build("alexnet").graph.nodes if node.layer.weights]
    assert {layer.name: layer.values["initB"] for layer in layers} == {
        "conv1": 0, "conv2": 1, "conv3": 0, "conv4": 1, "conv5": 1, "fc6": 1, "fc7": 1, "fc8": 0,
    }  # fmt: skip
    assert {layer.values["initW"][0] for layer in layers} == {0.01}


@pytest.mark.parametrize("layer", ["rnorm1", "rnorm2"])
def test_alexnet_normalizes_as_the_original_cfg_files_do(layer: str) -> None:
    found = build("alexnet").graph[layer].layer
    assert isinstance(found, NormLayer)
    assert found.type == "cmrnorm"
    norm = found.normalization
    assert (norm.size, norm.power, norm.min_div, norm.blocked) == (5, 0.75, 2, False)
    assert norm.alpha == pytest.approx(0.0001 / 5, rel=1e-12)


def test_alexnet_normalizes_behind_the_relu_and_pools_behind_that() -> None:
    inputs = {node.name: [below.name for below in node.inputs] for node in build("alexnet").graph.nodes}
    for number in "12":
        assert inputs[f"conv{number}_neuron"] == [f"conv{number}"]
        assert inputs[f"rnorm{number}"] == [f"conv{number}_neuron"]
        assert inputs[f"pool{number}"] == [f"rnorm{number}"]


def test_alexnet_learns_as_the_paper_says() -> None:
    for name, layer in [(node.name, node.layer) for node in build("alexnet").graph.nodes if node.layer.weights]:
        learning = layer.learning
        assert (learning["momW"], learning["momB"], learning["wc"]) == ([0.9], 0.9, [0.0005]), name
    for schedule in [schedule for pair in rates("alexnet").values() for schedule in pair]:
        drops = [schedule.value(progress) for progress in (0.0, 0.24, 0.26, 0.49, 0.51, 0.74, 0.76, 1.0)]
        assert drops == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rel=1e-9)
    assert values("alexnet", "dropout6")["keep"] == values("alexnet", "dropout7")["keep"] == 0.5
    assert values("alexnet", "logprob")["topk"] == 5


def test_alexnet_pools_with_overlap_and_groups_where_the_papers_gpus_do_not_talk() -> None:
    layers = {node.name: node.layer.values for node in build("alexnet").graph.nodes}
    assert {name: layers[name]["groups"] for name in ("conv1", "conv2", "conv3", "conv4", "conv5")} == {
        "conv1": [1], "conv2": [2], "conv3": [1], "conv4": [2], "conv5": [2],
    }  # fmt: skip
    assert {(layers[name]["sizeX"], layers[name]["stride"]) for name in ("pool1", "pool2", "pool5")} == {(3, 2)}


def test_what_the_train_sections_set() -> None:
    options = {name: build(name).options for name in NAMES}
    images = {name: options[name].pop("input") for name in NAMES}
    assert images == {
        "alexnet": (3, 224, 224), "cifar-local": (3, 24, 24), "cifar-quick": (3, 32, 32), "cifar-rnorm": (3, 32, 32),
        "digits": (1, 8, 8), "lenet5": (1, 28, 28),
    }  # fmt: skip
    assert options == {
        "alexnet": {"crop": 224, "flip": True, "noise": 0.1, "epochs": 90, "mini": 128, "shuffle": True},
        "cifar-local": {"crop-border": 4, "flip": True, "epochs": 150, "mini": 128, "shuffle": False},
        "cifar-quick": {"epochs": 16, "mini": 128, "shuffle": False},
        "cifar-rnorm": {"epochs": 120, "mini": 128, "shuffle": False},
        "digits": {"epochs": 20, "mini": 32, "test-freq": 5, "shuffle": True},
        "lenet5": {"epochs": 20, "mini": 64, "shuffle": True},
    }


def test_the_rates_of_cifar_quick_drop_after_eight_epochs() -> None:
    epochs = build("cifar-quick").options["epochs"]
    for weights, biases in rates("cifar-quick").values():
        for epoch in range(1, epochs + 1):
            factor = 1 if epoch <= 8 else 0.1
            middle = (epoch - 0.5) / epochs
            assert weights.value(middle) == pytest.approx(0.001 * factor, rel=1e-9)
            assert biases.value(middle) == pytest.approx(0.002 * factor, rel=1e-9)


def test_the_rates_of_cifar_local_drop_twice() -> None:
    for weights, biases in rates("cifar-local").values():
        found = [weights.value(progress) for progress in (0.0, 0.32, 0.34, 0.66, 0.67, 1.0)]
        assert found == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rel=1e-9)
        assert biases.value(0.5) == pytest.approx(2e-4, rel=1e-9)


def test_the_rates_of_cifar_rnorm_stay() -> None:
    assert set(rates("cifar-rnorm").values()) == {(parse_schedule("0.001"), parse_schedule("0.002"))}


@pytest.mark.parametrize("name", ORIGINALS)
def test_first_rates_momentum_decay_and_initial_weights_are_the_originals(name: str, reference_files: Path) -> None:
    folder = reference_files / "original-cfgs" / "cuda-convnet"
    params = read(folder / f"layer-params-{ORIGINALS[name]}", Report()).sections
    layers = read(folder / f"layers-{ORIGINALS[name]}", Report()).sections
    compared = 0
    for node in build(name).graph.nodes:
        found = {key.lower(): value for key, value in {**node.layer.values, **node.layer.learning}.items()}
        given = {**layers[node.name].entries, **params[node.name].entries} if node.name in params else {}
        for key in given.keys() & {"epsw", "epsb", "momw", "momb", "wc", "initw", "scale", "pow", "coeff"}:
            mine = found[key][0] if isinstance(found[key], list) else found[key]
            mine = mine.base if isinstance(mine, ParameterSchedule) else mine
            assert mine == float(given[key].value), (node.name, key)
            compared += 1
    assert compared == {"cifar-local": 31, "cifar-quick": 31, "cifar-rnorm": 29}[name]
