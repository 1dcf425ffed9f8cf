"""How the blocks of the residual net are wired."""

from __future__ import annotations

from itertools import pairwise

import pytest

from convnet.layers.sample import Nailbed
from convnet.ops.sample import SampleGeometry
from tests.nets.nets import below, build

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
