"""Checks the gradients of a net that is given by its files, on random data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convnet.backends import DeviceOptions, open_devices
from convnet.net import ConvNet
from convnet.net.gradient_check import GradientCheck, check_gradients
from convnet.training.options import Options
from convnet.training.session import NetFiles, describe_shapes


def net_gradients(files: NetFiles, options: Options, threads: int | None = None) -> Iterator[GradientCheck]:
    """Check a net in float64 on one minibatch of `mini` random cases: normal images, labels below its classes.

    The weights are random too, whatever the layer file says of initial weights.

    Raises:
        ConvnetError: if the files are wrong or nothing says what the input is.
    """
    files.check(options)
    shapes = describe_shapes(options, files.classes)
    graph = files.graph(shapes, options["classes"])
    devices = open_devices(DeviceOptions("cpu", threads), graph.devices)
    net = ConvNet(
        graph, devices, mini=options["mini"], seed=options["seed"], dtype=np.float64, input_grads=True, updates=False,
        initial=False,
    )  # fmt: skip
    generator = np.random.default_rng(options["seed"])
    maps = options["input"]
    images = generator.standard_normal((options["mini"], maps.y, maps.x, maps.channels))
    classes = options["classes"] or files.classes or 2
    labels = generator.integers(0, classes, (options["mini"], 1)).astype(np.float64)
    _spread_weights(net, generator)
    yield from check_gradients(net, [images, labels])


def _spread_weights(net: ConvNet, generator: np.random.Generator) -> None:
    """Draw weights that keep activations of order 1.

    Initial weights are often so small, and biases 0, that any step moves many units over the kink of a relu.
    """
    for parameter in [parameter for parameter in net.graph.parameters if parameter.statistic is None]:
        matrix = parameter.matrix
        scale = 0.3 if parameter.index is None else (max(1, matrix.windows) / matrix.rows) ** 0.5
        net.store.set("weights", parameter, generator.standard_normal(matrix.shape) * scale)
