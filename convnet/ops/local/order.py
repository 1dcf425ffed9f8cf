"""The order in which filters of each module lie in memory, on every backend, and cuda-convnet's."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.ops.local import LocalGeometry

Array = np.ndarray[Any, Any]


def weights_to_memory(w: Array, geometry: LocalGeometry) -> Array:
    """Rows from cuda-convnet's order (module, channel, y, x) to ours (module, y, x, channel)."""
    size = geometry.filter_size
    parts = w.reshape(geometry.modules, geometry.filter_channels, size, size, geometry.filters)
    return np.ascontiguousarray(parts.transpose(0, 2, 3, 1, 4)).reshape(w.shape)


def weights_from_memory(w: Array, geometry: LocalGeometry) -> Array:
    """Rows from our order (module, y, x, channel) to cuda-convnet's (module, channel, y, x)."""
    size = geometry.filter_size
    parts = w.reshape(geometry.modules, size, size, geometry.filter_channels, geometry.filters)
    return np.ascontiguousarray(parts.transpose(0, 3, 1, 2, 4)).reshape(w.shape)
