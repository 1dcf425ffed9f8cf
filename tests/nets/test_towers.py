"""AlexNet in two towers is AlexNet."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from convnet.backends import DeviceOptions, open_devices
from convnet.net import ConvNet
from convnet.weights.parameter import Parameter
from tests.nets.nets import SCALES, below, build, scaled

Array = np.ndarray[Any, Any]
FACTOR = 8


def test_towers_meet_below_conv3_and_the_fully_connected_layers_alone() -> None:
    """Figure 2 of the AlexNet paper."""
    graph = build("alexnet-2gpu").graph
    crossing = {"conv3": "pool2", "fc6": "pool5", "fc7": "dropout6"}
    for tower in "ab":
        for name, source in crossing.items():
            assert sorted(below(graph[name + tower])) == [f"{source}a", f"{source}b"]
        alone = ["conv1", "rnorm1", "pool1", "conv2", "rnorm2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6"]
        for source, name in pairwise(alone):
            if name not in crossing:
                assert below(graph[name + tower]) == [source + tower]
        for name in [*alone, "dropout6", "fc7", "dropout7"]:
            assert graph[name + tower].gpus == ("ab".index(tower),)
    assert sorted(below(graph["fc8"])) == ["dropout7a", "dropout7b"]
    assert graph.devices == 2


def test_a_layer_of_alexnet_has_the_filters_of_both_towers() -> None:
    one, two = build("alexnet").graph, build("alexnet-2gpu").graph
    for number in (1, 2, 3, 4, 5):
        maps = [two[f"conv{number}{tower}"].layer.shape.maps for tower in "ab"]
        whole = one[f"conv{number}"].layer.shape.maps
        assert whole is not None
        assert [each and each.channels for each in maps] == [whole.channels // 2] * 2
        sizes = [[p.matrix.size for p in net.parameters if re.match(f"conv{number}", p.layer)] for net in (one, two)]
        assert sum(sizes[0]) == sum(sizes[1])


def without_neighbours(text: str) -> str:
    """Normalization that sees no other map: none of the other tower's either."""
    return text.replace("size=5", "size=1")


def part(whole: Array, parameter: Parameter) -> Array:
    """Of the weights or biases of AlexNet's layer those of a tower, or of one of the inputs of fc8.

    Filters of both towers lie side by side, weights for inputs from both one below the other. Biases lie as the layer
    type has them.
    """
    rows, columns = parameter.matrix.shape
    tower, source = parameter.layer.endswith("b"), parameter.index == 1
    down = tower if parameter.index is None else source
    top, left = rows * (down and rows < whole.shape[0]), columns * (tower and columns < whole.shape[1])
    return whole[top : top + rows, left : left + columns]


def test_two_devices_learn_what_one_learns() -> None:
    """All that crosses between the towers crosses once in each direction."""
    maps, random = SCALES["alexnet-2gpu"][1], np.random.default_rng(3)
    data = [60 * random.standard_normal((3, maps.y, maps.x, maps.channels)), random.integers(0, 10, (3, 1))]
    nets, costs = [], []
    for edit in (str, lambda text: text.replace("gpu=1", "gpu=0")):
        graph = scaled("alexnet-2gpu", edit=edit)
        devices = open_devices(DeviceOptions("cpu", threads=2), graph.devices)
        nets.append(ConvNet(graph, devices, mini=3, seed=5, dtype=np.float64))
        costs.append([nets[-1].train_minibatch(data)["logprob"]["cost"] for _ in range(2)])
    assert [net.graph.devices for net in nets] == [2, 1]
    np.testing.assert_allclose(costs[0], costs[1], rtol=1e-12)
    states = [net.state() for net in nets]
    assert states[0].keys() == states[1].keys()
    for name, values in states[1].items():
        assert np.abs(states[0][name] - values).max() <= 1e-11 * np.abs(values).max(), name
        assert name.endswith(".inc") is False or np.any(values), name


def test_with_the_same_weights_the_cost_is_the_same() -> None:
    """Where normalization cannot tell towers from groups."""
    graphs = [scaled(name, FACTOR, without_neighbours) for name in ("alexnet", "alexnet-2gpu")]
    one, two = (
        ConvNet(graph, open_devices(DeviceOptions("cpu", threads=2), graph.devices), mini=3, dtype=np.float64)
        for graph in graphs
    )
    maps, random = SCALES["alexnet-2gpu"][1], np.random.default_rng(0)
    drawn = {
        (parameter.layer, parameter.index is None): (0.1 * random.standard_normal(parameter.matrix.shape), parameter)
        for parameter in graphs[0].parameters
    }
    for values, parameter in drawn.values():
        one.store.set("weights", parameter, values)
    for parameter in graphs[1].parameters:
        layer = re.sub(r"(\d)[ab]$", r"\1", parameter.layer)
        two.store.set("weights", parameter, part(drawn[layer, parameter.index is None][0], parameter))
    images = 60 * random.standard_normal((3, maps.y, maps.x, maps.channels))
    costs = [net.test_minibatch([images, np.array([[1.0], [7], [4]])])["logprob"]["cost"] for net in (one, two)]
    assert costs[1] == pytest.approx(costs[0], rel=1e-12)
    assert abs(costs[0] / 3 - np.log(10)) > 0.01, "all classes look alike to it"
