"""Convolution: filters moved over maps, in groups, with zeros around the maps. The filters are not flipped.

    y[n, p, q, f] = sum over i, j, c of x[n, p*stride - padding + i, q*stride - padding + j, g*C + c] * w[(i, j, c), f]

with i, j below the filter size, c below C = channels / groups, and g the group of filter f: filters g*F .. g*F + F - 1
with F = filters / groups. x is zero outside its maps.

n cases. x, dx: (n, maps.y, maps.x, maps.channels); y, dy: (n, modules_y, modules_x, filters). w, dw: (rows, filters)
with rows in the order (i, j, c); cuda-convnet's own order, used by checkpoints and by init functions, is (c, i, j).
bias: `filters` numbers (shared by all modules) or modules * filters in the order (p, q, f), or None.

A backend gives
    weights_to_memory(w, geometry), weights_from_memory(w, geometry)        new arrays, rows reordered
    fprop(dev, x, w, bias, y, geometry, *, accumulate, neuron)              y = f(conv(x) [+ y] [+ bias])
    bprop_acts(dev, dy, w, dx, geometry, *, accumulate)                     dx (+)= gradient
    bprop_weights(dev, x, dy, dw, geometry, *, accumulate)                  dw (+)= gradient, summed over the cases
The bias' gradient is the operation `bias`. A wrong shape raises ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convnet.shape import Maps


def modules(image: int, padding: int, filter_size: int, stride: int) -> int:
    """Positions of a filter along one axis; the last one may reach over the edge.

    1 + ceil((2 padding + image - filter_size) / stride), as cuda-convnet counts its modules.
    """
    return 1 - (filter_size - image - 2 * padding) // stride


@dataclass(frozen=True)
class ConvGeometry:
    """What is moved over what. `maps` are the input's, `filters` counts those of all groups.

    `modules_y`, `modules_x`: positions of a filter along each axis, by `modules` or by the cfg key modulesX.
    """

    maps: Maps
    filters: int
    filter_size: int
    padding: int
    stride: int
    groups: int
    modules_y: int
    modules_x: int

    @property
    def filter_channels(self) -> int:
        """Channels that one filter sees."""
        return self.maps.channels // self.groups

    @property
    def rows(self) -> int:
        """Numbers in one filter."""
        return self.filter_channels * self.filter_size**2

    @property
    def weights(self) -> tuple[int, int]:
        """The shape of the weight matrix: rows and filters."""
        return self.rows, self.filters

    @property
    def modules(self) -> int:
        """Positions of a filter."""
        return self.modules_y * self.modules_x

    @property
    def output(self) -> Maps:
        """The maps that come out."""
        return Maps(self.filters, self.modules_y, self.modules_x)


def check_shapes(x: Any, w: Any, y: Any, geometry: ConvGeometry) -> int:
    """The number of cases. Raises ValueError unless arrays x, w and y of any backend are what the geometry says."""
    n, (channels, height, width) = x.shape[0], geometry.maps
    expected = (
        (n, height, width, channels),
        geometry.weights,
        (n, geometry.modules_y, geometry.modules_x, geometry.filters),
    )
    if (x.shape, w.shape, y.shape) != expected:
        raise ValueError(f"{type(geometry).__name__}: x {x.shape}, w {w.shape}, y {y.shape}; expected {expected}")
    return n
