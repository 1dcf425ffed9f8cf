"""What data layers take of a minibatch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convnet.layers.base import Layer
from convnet.layers.data import Data
from convnet.tensor import memory_shape

Array = np.ndarray[Any, Any]


def fed(layer: Layer, data: Sequence[Array]) -> Array:
    """The array to write into a data layer.

    data: one array for each matrix of the data provider, cases first: images (n, y, x, channels) or (n, features),
    labels (n, 1). Where the label matrix is not among them, it is made of the labels: (n, classes), true for the class
    of each case; a label that is no class has none.
    """
    assert isinstance(layer, Data)
    index = int(layer.values["dataIdx"])
    if index < len(data):
        return _taken(layer, data[index])
    return _taken(layer, data[1].reshape(-1, 1) == np.arange(layer.source.features))


def spread(layer: Layer, gradient: Array, data: Array) -> Array:
    """The gradient of what a data layer takes as that of the whole matrix, which is like `data`; 0 elsewhere."""
    assert isinstance(layer, Data)
    if layer.shape == layer.source:
        return gradient.reshape(data.shape)
    maps, (start, end) = layer.source.maps, layer.rows
    rows = np.zeros((len(data), layer.source.features), gradient.dtype)
    if maps is None or layer.channels is None:
        rows[:, start:end] = gradient
    else:
        rows[:, start:end] = np.moveaxis(gradient, 3, 1).reshape(len(data), -1)
    return (np.moveaxis(rows.reshape(-1, *maps), 1, 3) if maps else rows).reshape(data.shape)


def _taken(layer: Data, source: Array) -> Array:
    """The layer's rows of a whole matrix."""
    if layer.shape == layer.source:
        return source
    source = source.reshape(-1, *memory_shape(layer.source.features, layer.source.maps))
    if layer.channels is not None:
        return source[..., slice(*layer.channels)]
    rows = np.moveaxis(source, 3, 1).reshape(len(source), -1) if layer.source.maps else source
    return rows[:, slice(*layer.rows)]
