"""What data layers take of a minibatch."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.layers.base import Layer
from convnet.layers.data import Data
from convnet.pixels import Minibatch, Pixels
from convnet.tensor import memory_shape

Array = np.ndarray[Any, Any]
_NO_SHIFT = np.zeros(1, np.float32)


def check_images(data: Minibatch, mean: Array | None) -> None:
    """Raises ValueError unless images come as Pixels for a net with a mean, and ready for one without."""
    if isinstance(data[0], Pixels) and mean is None:
        raise ValueError("expected images that are ready, as the net was made without a mean; found Pixels")
    if not isinstance(data[0], Pixels) and mean is not None:
        raise ValueError("expected images as Pixels, from which the net subtracts its mean; found an array")


def fed(layer: Layer, data: Minibatch, mean: Array | None = None) -> Array:
    """The array to write into a data layer, where `mean` has been subtracted from images that come as Pixels.

    Where the label matrix is not among the data, it is made of the labels: (n, classes), true for the class of each
    case; a label that is no class has none.
    """
    assert isinstance(layer, Data)
    index = int(layer.values["dataIdx"])
    matrix = data[index if index < len(data) else 1]
    if isinstance(matrix, Pixels):
        assert mean is not None
        matrix = matrix.normalized(mean)
    if index >= len(data):
        matrix = matrix.reshape(-1, 1) == np.arange(layer.source.features)
    return _taken(layer, matrix)


def stored(layer: Layer, pixels: Pixels) -> tuple[Array, Array]:
    """The values and the shifts of a data layer's channels."""
    assert isinstance(layer, Data)
    assert layer.channels is not None
    channels = slice(*layer.channels)
    values = pixels.values[..., channels]
    shifts = _NO_SHIFT if pixels.shifts is None else pixels.shifts[:, channels]
    return values, np.broadcast_to(shifts, (len(values), values.shape[-1]))


def layer_mean(layer: Layer, mean: Array) -> Array:
    """The mean of a data layer's channels, (y, x, channels).

    Raises:
        ValueError: if it is not the mean of such images.
    """
    assert isinstance(layer, Data)
    assert layer.channels is not None
    whole = np.broadcast_to(mean, memory_shape(layer.source.features, layer.source.maps))
    return whole[..., slice(*layer.channels)]


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
