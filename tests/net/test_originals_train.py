"""Every net of the originals trains: on as many devices as it asks for, dummy data, two minibatches."""

import numpy as np
import pytest

from convnet.backends import DeviceOptions, open_devices
from convnet.config.reader import read
from convnet.config.report import Report
from convnet.graph.build import build_graph
from convnet.net import ConvNet
from convnet.shape import Shape

NETS = {
    "cuda-convnet": ["80sec", "19pct", "18pct", "conv-local-13pct", "conv-local-11pct", ".gc", "example"],
    "cuda-convnet2": [
        "cifar10-11pct", "imagenet-1gpu", "imagenet-2gpu-data", "imagenet-2gpu-model", "imagenet-4gpu-data",
        "imagenet-4gpu-data-model",
    ],
}  # fmt: skip
DEVICES = {"imagenet-2gpu-data": 2, "imagenet-2gpu-model": 2, "imagenet-4gpu-data": 4, "imagenet-4gpu-data-model": 4}
ALL = [(folder, name) for folder, names in NETS.items() for name in names]
SMALL = [(folder, name) for folder, name in ALL if "imagenet" not in name and name != "example"]


def graph_of(files, folder, name):
    """The graph of one of the nets, for images of the size that it was made for."""
    report, size = Report(), 224 if "imagenet" in name else 24 if folder == "cuda-convnet2" else 32
    kind = name if name.startswith(".") else f"-{name}"
    place = files / "original-cfgs" / folder
    layers, params = read(place / f"layers{kind}.cfg", report), read(place / f"layer-params{kind}.cfg", report)
    return build_graph(layers, params, [Shape.of_maps(3, size, size), Shape(1)], report), size


def train(graph, size, devices):
    """Two minibatches, whole and short: costs are finite, and everything that learns has made a step."""
    replicas = max(len(node.gpus) for node in graph.nodes)
    net, random = ConvNet(graph, devices, mini=2 * replicas, seed=1), np.random.default_rng(0)
    classes = next(node.layer.input_shapes[1].features for node in graph.nodes if node.layer.type == "cost.logreg")
    for cases in (2 * replicas, 2 * replicas - 1):
        images = random.standard_normal((cases, size, size, 3)).astype(np.float32)
        costs = net.train_minibatch([images, random.integers(0, classes, (cases, 1)).astype(np.float32)])
        assert all(np.isfinite(list(metrics.values())).all() for metrics in costs.values())
    for parameter in graph.parameters:
        step = net.store.get("increments", parameter)
        assert np.isfinite(step).all()
        assert step.any() == parameter.learns, parameter.name


@pytest.mark.parametrize(("folder", "name"), ALL)
def test_trains(reference_files, folder, name):
    graph, size = graph_of(reference_files, folder, name)
    assert graph.devices == DEVICES.get(name, 1)
    train(graph, size, open_devices(DeviceOptions("cpu", threads=2), graph.devices))


@pytest.mark.gpu
@pytest.mark.parametrize(("folder", "name"), SMALL)
def test_trains_on_a_gpu(reference_files, cuda_device, folder, name):
    graph, size = graph_of(reference_files, folder, name)
    train(graph, size, cuda_device("fp32"))
