"""This project's steps on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nets import files_of

from convnet.backends import Device, DeviceOptions, open_device
from convnet.graph.layer_graph import LayerGraph
from convnet.net import ConvNet
from convnet.training.options import merged
from convnet.training.timing import time_net

Orders = dict[str, Callable[[], Any]]


def start(name: str, threads: int) -> Callable[[LayerGraph, list[Any]], Orders]:
    """What a process has before there is a net; gives what builds the net of this name."""
    options = DeviceOptions("cpu", threads)
    return partial(_orders, name, options, open_device(options))


def _orders(name: str, options: DeviceOptions, device: Device, graph: LayerGraph, data: list[Any]) -> Orders:
    """A training step, a test step, and the times of the layers."""
    mini = len(data[0])
    net = ConvNet(graph, device, mini=mini)

    def layers() -> dict[str, Any]:
        files = files_of(name)
        return time_net(files, merged(files.options, {"mini": mini}), options)

    return {"train": lambda: net.train_minibatch(data), "test": lambda: net.test_minibatch(data), "layers": layers}
