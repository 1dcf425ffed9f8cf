"""How the layers of nets with branches are wired: two towers, and residual blocks."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from convnet.graph.layer_graph import Node
from convnet.layers.sample import Nailbed
from convnet.ops.sample import SampleGeometry
from tests.nets.nets import build


def below(node: Node) -> list[str]:
    """The names of the layers that a layer reads, those of neurons less `_neuron`."""
    return [one.name.removesuffix("_neuron") for one in node.inputs]


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


BLOCKS = [f"{stage}{block}" for stage in (1, 2, 3) for block in (1, 2, 3)]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_residual_block(block: str) -> None:
    """relu(shortcut + bnorm(conv(relu(bnorm(conv(x))))))."""
    graph = build("cifar-resnet").graph
    before = dict(zip(BLOCKS, ["norm1", *(f"sum{k}" for k in BLOCKS)], strict=False))[block]
    halves = block in ("21", "31")
    shortcut = f"wide{block[0]}" if halves else before
    chain = [before, f"conv{block}a", f"norm{block}a", f"conv{block}b", f"norm{block}b"]
    for source, name in pairwise(chain):
        assert below(graph[name]) == [source]
    assert below(graph[f"sum{block}"]) == [shortcut, f"norm{block}b"]
    neurons = {name for name in [*chain, f"sum{block}"] if f"{name}_neuron" in graph}
    assert neurons == {before, f"norm{block}a", f"sum{block}"}
    assert {graph[f"{name}_neuron"].layer.values["neuron"].name for name in neurons} == {"relu"}
    assert graph[f"conv{block}a"].layer.values["stride"] == [2 if halves else 1]


@pytest.mark.parametrize(("stage", "side"), [("2", 28), ("3", 14)])
def test_a_shortcut_that_halves_takes_the_middle_of_each_window_and_adds_maps_of_zeros(stage: str, side: int) -> None:
    graph = build("cifar-resnet").graph
    half, zero, wide = (graph[f"{name}{stage}"] for name in ("half", "zero", "wide"))
    assert below(wide) == [half.name, zero.name]
    assert below(half) == [f"sum{int(stage) - 1}3"] == below(graph[f"conv{stage}1a"])
    assert not any(node.layer.weights for node in (half, zero, wide))
    function = zero.layer.values["neuron"]
    assert below(zero) == [half.name]
    assert (function.name, function.a, function.b) == ("linear", 0, 0)
    assert isinstance(half.layer, Nailbed)
    found: SampleGeometry = half.layer.geometry
    first_middle = 1  # windows of 3 pixels begin at 0, 2, 4 and so on
    assert (found.start_y, found.start_x, found.step_y, found.step_x) == (first_middle, first_middle, 2, 2)
    assert graph[f"conv{stage}1a"].layer.values["padding"] == [0]
    assert graph[f"conv{stage}1a"].layer.shape.maps == wide.layer.shape.maps
    assert found.maps.y == side
