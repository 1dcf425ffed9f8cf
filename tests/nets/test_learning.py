"""Every net that comes with convnet, made small, learns from its first minibatches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convnet.backends import DeviceOptions, open_devices
from convnet.net import ConvNet
from convnet.training.session import describe_shapes, open_session, options_in_force, read_files
from tests.conftest import ROOT
from tests.nets.nets import NAMES, SCALES, scaled

CASES = 8


def pixels(name: str) -> list[np.ndarray[Any, Any]]:
    """A minibatch of noise as large as pixels are, and labels of ten classes."""
    maps, random = SCALES[name][1], np.random.default_rng(0)
    images = 60 * random.standard_normal((CASES, maps.y, maps.x, maps.channels))
    return [images.astype(np.float32), random.integers(0, 10, (CASES, 1)).astype(np.float32)]


@pytest.mark.parametrize("name", NAMES)
def test_the_cost_falls_with_two_minibatches(name: str) -> None:
    """Without dropout; batch normalization tests with averages, which two minibatches do not make."""
    graph, data = scaled(name), pixels(name)
    net = ConvNet(graph, open_devices(DeviceOptions("cpu", threads=2), graph.devices), mini=CASES, seed=3)
    tested = [net.test_minibatch(data)["logprob"]["cost"]]
    trained = [net.train_minibatch(data)["logprob"]["cost"] for _ in range(2)]
    tested.append(net.test_minibatch(data)["logprob"]["cost"])
    trained.append(net.train_minibatch(data)["logprob"]["cost"])
    assert all(map(math.isfinite, tested + trained))
    before, after = (trained[0], trained[2]) if name == "cifar-resnet" else tested
    assert after < before * (1 - 2e-4)
    assert trained[0] == pytest.approx(CASES * math.log(10), rel=0.15)


# The samples of 256x256 pixels take a while to make.
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("alexnet")])
def test_the_built_in_sample_fits(name: str) -> None:
    session = open_session(read_files(str(ROOT / "layers-cfg" / f"{name}.cfg"), None), {})
    assert session.provider.sample
    classes = 10 if session.options["input"].channels == 1 else 8
    assert [node.layer.shape.features for node in session.graph.nodes if node.layer.type == "softmax"] == [classes]
    assert session.graph["data"].layer.shape.maps == session.options["input"]


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_classes_can_be_chosen(name: str) -> None:
    files = read_files(str(ROOT / "layers-cfg" / f"{name}.cfg"), None)
    graph = files.graph(describe_shapes(options_in_force(files, {}), 7), 7)
    assert [node.layer.shape.features for node in graph.nodes if node.layer.type == "softmax"] == [7]
