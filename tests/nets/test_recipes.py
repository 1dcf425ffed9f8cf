"""The nets' constants and how they learn are those that were published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from convnet.config.reader import read
from convnet.config.report import Report
from convnet.layers.norm import NormLayer
from convnet.weights.schedule import ParameterSchedule, Progress, parse_schedule
from tests.nets.nets import NAMES, build

ORIGINALS = {
    "cifar-local": "conv-local-13pct.cfg",
    "cifar-local-rnorm": "conv-local-11pct.cfg",
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


@pytest.mark.parametrize(
    ("name", "layer"),
    [("alexnet", "rnorm1"), ("alexnet", "rnorm2"), *(("alexnet-2gpu", f"rnorm{i}{t}") for i in "12" for t in "ab")],
)
def test_alexnet_normalizes_as_the_original_cfg_files_do(name: str, layer: str) -> None:
    found = build(name).graph[layer].layer
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
    # The error falls for ten epochs, then stalls for good: the rate falls after five tests without a better one.
    errors = [0.9 - 0.05 * min(epoch, 10) for epoch in range(1, 31)]
    for schedule in [schedule for pair in rates("alexnet").values() for schedule in pair]:
        tests = (0, 14, 15, 19, 20, 25, 30)
        drops = [schedule.value(Progress(0.0, done + 1, tuple(errors[:done]))) for done in tests]
        assert drops == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-5, 1e-5], rel=1e-9)
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
        "alexnet": (3, 224, 224), "alexnet-2gpu": (3, 224, 224), "alexnet-owt": (3, 224, 224),
        "cifar-local": (3, 24, 24), "cifar-local-rnorm": (3, 24, 24),
        "cifar-quick": (3, 32, 32), "cifar-relu": (3, 32, 32), "cifar-resnet": (3, 28, 28),
        "cifar-rnorm": (3, 32, 32), "cifar-tanh": (3, 32, 32), "dannet": (3, 48, 48), "digits": (1, 8, 8),
        "lenet5": (1, 28, 28),
    }  # fmt: skip
    imagenet = {"crop": 224, "flip": True, "noise": 0.1, "epochs": 90, "mini": 128, "shuffle": True}
    local = {
        "crop-border": 4, "flip": True, "mini": 128, "shuffle": False, "train-range": [1, 2, 3, 4],
        "late-range": [1, 2, 3, 4, 5],
    }  # fmt: skip
    pair = {"epochs": 40, "mini": 128, "shuffle": True}
    assert options == {
        "alexnet": imagenet,
        "alexnet-2gpu": imagenet,
        "alexnet-owt": imagenet,
        "cifar-local": {**local, "epochs": 160, "late-epoch": 101},
        "cifar-local-rnorm": {**local, "epochs": 520, "late-epoch": 351},
        "cifar-quick": {"epochs": 16, "mini": 128, "shuffle": False},
        "cifar-relu": pair,
        "cifar-resnet": {"crop-border": 2, "flip": True, "epochs": 164, "mini": 128, "shuffle": True},
        "cifar-rnorm": {"epochs": 140, "mini": 128, "shuffle": False},
        "cifar-tanh": pair,
        "dannet": {"crop": 48, "flip": False, "epochs": 30, "mini": 32, "shuffle": True},
        "digits": {"epochs": 20, "mini": 32, "test-freq": 5, "shuffle": True},
        "lenet5": {"epochs": 20, "mini": 64, "shuffle": True},
    }


def test_the_rates_of_cifar_quick_drop_after_eight_epochs() -> None:
    epochs = build("cifar-quick").options["epochs"]
    for weights, biases in rates("cifar-quick").values():
        for epoch in range(1, epochs + 1):
            factor = 1 if epoch <= 8 else 0.1
            middle = (epoch - 0.5) / epochs
            assert weights.value(Progress(middle)) == pytest.approx(0.001 * factor, rel=1e-9)
            assert biases.value(Progress(middle)) == pytest.approx(0.002 * factor, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "first"), [("cifar-rnorm", 121), ("cifar-local", 141), ("cifar-local-rnorm", 501)]
)
def test_the_last_twenty_epochs_have_small_rates(name: str, first: int) -> None:
    """Ten at a tenth of the rates, ten at a hundredth."""
    assert build(name).options["epochs"] == first + 19
    for weights, biases in rates(name).values():
        for epoch, rate in [(1, 1e-3), (first - 1, 1e-3), (first, 1e-4), (first + 9, 1e-4), (first + 10, 1e-5)]:
            found = weights.value(Progress(0.0, epoch)), biases.value(Progress(0.0, epoch))
            assert found == pytest.approx((rate, 2 * rate), rel=1e-9)


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
    assert compared == {"cifar-local": 31, "cifar-local-rnorm": 35, "cifar-quick": 31, "cifar-rnorm": 29}[name]


def test_alexnet_owt_has_the_recipe_of_cuda_convnet2(reference_files: Path) -> None:
    """Every number and schedule, in both files."""
    folder = reference_files / "original-cfgs" / "cuda-convnet2"
    params = read(folder / "layer-params-imagenet-1gpu.cfg", Report()).sections
    layers = read(folder / "layers-imagenet-1gpu.cfg", Report()).sections
    keys = {"epsw", "epsb", "momw", "momb", "wc", "initw", "initb", "scale", "pow", "mindiv", "topk", "coeff", "size"}
    compared = 0
    for node in build("alexnet-owt").graph.nodes:
        found = {key.lower(): value for key, value in {**node.layer.values, **node.layer.learning}.items()}
        given = {**layers[node.name].entries, **params[node.name].entries} if node.name in params else {}
        for key in given.keys() & keys:
            mine = found[key][0] if isinstance(found[key], list) else found[key]
            theirs = parse_schedule(given[key].value) if key.startswith("eps") else float(given[key].value)
            assert mine == theirs, (node.name, key)
            compared += 1
    assert compared == 8 * 6 + 6 + 2 * 4 + 2


def test_alexnet_owt_has_its_relus_where_cuda_convnet2_has_them(reference_files: Path) -> None:
    original = read(reference_files / "original-cfgs" / "cuda-convnet2" / "layers-imagenet-1gpu.cfg", Report()).sections
    expected = {name for name, section in original.items() if "neuron" in section.entries}
    nodes = build("alexnet-owt").graph.nodes
    assert {node.inputs[0].name for node in nodes if node.layer.type == "neuron"} == expected


def one_value(value: Any) -> Any:
    """The value, or of a list with a value for each input the one that all have."""
    if not isinstance(value, list):
        return value
    assert all(item == value[0] for item in value)
    return value[0]


def test_the_towers_learn_as_alexnet_does() -> None:
    """conv1a and conv1b say what conv1 says, and so on; fc8 has no tower."""
    one, two = build("alexnet").graph, build("alexnet-2gpu").graph
    alone = {node.name: node.layer for node in one.nodes if node.layer.learning}
    keys = {"initW", "initB", "size", "stride", "filterSize", "padding", "epsW", "epsB", "momW", "momB", "wc"}
    seen = set()
    for layer in [node.layer for node in two.nodes if node.layer.learning]:
        name = re.sub(r"(\d)[ab]$", r"\1", layer.name)
        expected, found = ({**each.values, **each.learning} for each in (alone[name], layer))
        compared = found.keys() & keys | layer.learning.keys()
        assert {key: one_value(found[key]) for key in compared} == {key: one_value(expected[key]) for key in compared}
        seen.add(name)
    assert seen == alone.keys()


def test_dannet_has_the_papers_numbers() -> None:
    graph = build("dannet").graph
    neurons = [node.layer.values["neuron"] for node in graph.nodes if node.layer.type == "neuron"]
    assert [(neuron.name, neuron.a) for neuron in neurons] == [("linear", 1 / 128), *[("tanh", 1.7159)] * 4]
    assert [neuron.b for neuron in neurons[1:]] == pytest.approx([2 / 3] * 4, abs=1e-6)
    pools = [node.layer.values for node in graph.nodes if node.layer.type == "pool"]
    assert [(pool["pool"], pool["sizeX"], pool["stride"]) for pool in pools] == [("max", 2, 2)] * 3
    weighted = [node.layer for node in graph.nodes if node.layer.weights]
    assert [layer.values["initW"][0] for layer in weighted] == pytest.approx([0.05 / 3**0.5] * 5, rel=0.01)
    learning = [layer.learning for layer in weighted]
    assert {(*one["momW"], one["momB"], *one["wc"]) for one in learning} == {(0, 0, 0)}
    for schedule in [schedule for pair in rates("dannet").values() for schedule in pair]:
        epochs = build("dannet").options["epochs"]
        falls = [schedule.value(Progress(epoch / epochs)) for epoch in range(epochs + 1)]
        assert falls == pytest.approx([32 * 0.001 * 0.993**epoch for epoch in range(epochs + 1)], rel=5e-3)


def test_the_rates_of_cifar_resnet_drop_after_32000_and_48000_minibatches() -> None:
    minibatches = -(-50_000 // 128)
    epochs = build("cifar-resnet").options["epochs"]
    assert abs(minibatches * epochs - 64_000) < minibatches
    schedules = rates("cifar-resnet")
    for node in [node for node in build("cifar-resnet").graph.nodes if node.layer.weights]:
        weights, biases = schedules[node.name]
        convolution = node.layer.type == "conv"
        assert biases == (parse_schedule("0") if convolution else weights), node.name
        for epoch in range(1, epochs + 1):
            middle = (epoch - 0.5) * minibatches
            expected = 0.1 if middle < 32_000 else 0.01 if middle < 48_000 else 0.001
            assert weights.value(Progress((epoch - 1) / epochs, epoch)) == pytest.approx(expected), (node.name, epoch)
        decay = [0.0] if node.layer.type == "bnorm" else [0.0001]
        assert (node.layer.learning["momW"], node.layer.learning["wc"]) == ([0.9], decay), node.name


def test_the_pair_differs_in_neuron_and_rate_at_most() -> None:
    relu, tanh = build("cifar-relu").graph, build("cifar-tanh").graph
    assert [node.name for node in relu.nodes] == [node.name for node in tanh.nodes]
    for one, other in zip(relu.nodes, tanh.nodes, strict=True):
        keys = {"neuron", "epsW", "epsB"} if one.name != "scale" else {"epsW", "epsB"}
        values = [{**node.layer.values, **node.layer.learning} for node in (one, other)]
        same = [{key: value for key, value in found.items() if key not in keys} for found in values]
        assert same[0] == same[1], one.name
        if one.layer.type == "neuron" and one.name != "scale":
            assert [found["neuron"].name for found in values] == ["relu", "tanh"]


@pytest.mark.parametrize("name", ["cifar-relu", "cifar-tanh"])
def test_the_pair_has_one_constant_rate_and_no_regularization(name: str) -> None:
    layers = [node.layer for node in build(name).graph.nodes]
    assert {layer.learning["wc"][0] for layer in layers if layer.weights} == {0}
    assert not {layer.type for layer in layers} & {"dropout", "dropout2", "rnorm", "cmrnorm", "cnorm", "bnorm"}
    schedules = {schedule for pair in rates(name).values() for schedule in pair}
    assert [schedule.kind for schedule in schedules] == ["const"]
