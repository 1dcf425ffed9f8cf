"""What kernels are told of a convolution."""

from __future__ import annotations

import struct

from convnet.ops.conv import ConvGeometry


def pack(g: ConvGeometry, cases: int) -> bytes:
    """Geometry of geometry.cuh."""
    return struct.pack(
        "11i", cases, g.maps.y, g.maps.x, g.maps.channels, g.filters, g.filter_size, g.padding, g.stride, g.groups,
        g.modules_y, g.modules_x,
    )  # fmt: skip
