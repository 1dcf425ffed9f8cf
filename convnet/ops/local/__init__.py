"""Locally connected filters: as convolution, but each module (position of a filter) has filters of its own.

    y[n, p, q, f] = sum over i, j, c of
                    x[n, p*stride - padding + i, q*stride - padding + j, g*C + c] * w[(p, q, i, j, c), f]

with the names of `conv`. x, dx: (n, maps.y, maps.x, maps.channels); y, dy: (n, modules_y, modules_x, filters). w, dw:
(modules * rows, filters) with rows in the order (p, q, i, j, c); cuda-convnet's own order, used by checkpoints and by
init functions, is (p, q, c, i, j). bias: modules * filters numbers in the order (p, q, f), or None.

A backend gives the functions that `conv` lists, with a LocalGeometry. A wrong shape raises ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass

from convnet.ops.conv import ConvGeometry


@dataclass(frozen=True)
class LocalGeometry(ConvGeometry):
    """A ConvGeometry whose modules have filters of their own."""

    @property
    def weights(self) -> tuple[int, int]:
        """The shape of the weight matrix: rows of all modules, and filters of one."""
        return self.modules * self.rows, self.filters
