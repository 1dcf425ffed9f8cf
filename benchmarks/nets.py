"""The nets that benchmarks run, and random minibatches for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convnet.errors import ConvnetError
from convnet.graph.layer_graph import LayerGraph
from convnet.training.options import merged
from convnet.training.session import NetFiles, describe_shapes, read_files

_OWN = Path(__file__).parent / "layers-cfg"  # nets that only benchmarks have


def name_and_mini(pair: str) -> tuple[str, int]:
    """The net, by name or path, and the minibatch of NET:MINI.

    Raises:
        ConvnetError: if it is anything else.
    """
    name, _, mini = pair.rpartition(":")
    if not name or not mini.isdecimal() or not int(mini):
        raise ConvnetError(f"expected NET:MINI, such as lenet5:128, found '{pair}'")
    return name, int(mini)


def files_of(name: str) -> NetFiles:
    """The files of a net of this folder, of one that comes with convnet, or of one by path.

    Raises:
        ConvnetError: if there is none.
    """
    own = _OWN / f"{name}.cfg"
    return read_files(str(own) if own.is_file() else name, None)


def graph_of(name: str) -> tuple[LayerGraph, int]:
    """A net for the images that its [train] section tells, and its number of classes.

    Raises:
        ConvnetError: if there is no such net, or its files are wrong.
    """
    files = files_of(name)
    options = merged(files.options)
    return files.graph(describe_shapes(options), options["classes"]), files.classes or 2


def minibatch(graph: LayerGraph, classes: int, mini: int) -> list[Any]:
    """Random images (n, y, x, channels) and labels (n, 1)."""
    generator = np.random.default_rng(0)
    maps = next(node.layer.shape.maps for node in graph.nodes if node.layer.type == "data")
    assert maps is not None
    images = generator.standard_normal((mini, maps.y, maps.x, maps.channels), np.float32)
    return [images, generator.integers(0, classes, (mini, 1)).astype(np.float32)]
