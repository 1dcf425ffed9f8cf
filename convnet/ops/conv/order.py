"""The order in which filters lie in memory, on every backend, and cuda-convnet's."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.ops.conv import ConvGeometry

Array = np.ndarray[Any, Any]


def weights_to_memory(w: Array, geometry: ConvGeometry) -> Array:
    """Rows from cuda-convnet's order (channel, y, x) to ours (y, x, channel)."""
    size = geometry.filter_size
    parts = w.reshape(geometry.filter_channels, size, size, geometry.filters)
    return np.ascontiguousarray(parts.transpose(1, 2, 0, 3)).reshape(w.shape)


def weights_from_memory(w: Array, geometry: ConvGeometry) -> Array:
    """Rows from our order (y, x, channel) to cuda-convnet's (channel, y, x)."""
    size = geometry.filter_size
    parts = w.reshape(size, size, geometry.filter_channels, geometry.filters)
    return np.ascontiguousarray(parts.transpose(2, 0, 1, 3)).reshape(w.shape)
