"""What kernels are told of a convolution, and what is checked before."""

from __future__ import annotations

import struct

from convnet.backends.cuda.device import GPUArray
from convnet.ops.conv import ConvGeometry


def pack(g: ConvGeometry, cases: int) -> bytes:
    """Geometry of geometry.cuh."""
    return struct.pack(
        "11i", cases, g.maps.y, g.maps.x, g.maps.channels, g.filters, g.filter_size, g.padding, g.stride, g.groups,
        g.modules_y, g.modules_x,
    )  # fmt: skip


def check_shapes(x: GPUArray, w: GPUArray, y: GPUArray, geometry: ConvGeometry) -> None:
    """Raises ValueError unless x, w and y are what the geometry says."""
    n, (channels, height, width) = x.shape[0], geometry.maps
    expected = (
        (n, height, width, channels),
        geometry.weights,
        (n, geometry.modules_y, geometry.modules_x, geometry.filters),
    )
    if (x.shape, w.shape, y.shape) != expected:
        raise ValueError(f"{type(geometry).__name__}: x {x.shape}, w {w.shape}, y {y.shape}; expected {expected}")
