"""The locally-connected layer with unshared filters."""

from __future__ import annotations

from convnet.config.keys import Ignored
from convnet.layers.filters import FilterLayer
from convnet.ops.local import LocalGeometry
from convnet.weights.parameter import Matrix

_UNBOUNDED = "only layers of type conv have these bounds, also in cuda-convnet2"


class Local(FilterLayer):
    """Like conv, but every window has filters of its own.

    The weights of an input are (windows * filterChannels * filterSize^2, filters * groups), the window slowest.
    """

    type = "local"
    operation = "local"
    geometry_type = LocalGeometry
    ignored = (
        *FilterLayer.ignored,
        Ignored("wcNormMin", _UNBOUNDED),
        Ignored("wcNormMax", _UNBOUNDED),
    )

    @property
    def weights(self) -> list[Matrix]:
        """One matrix for each input."""
        found = [(g, g.modules_y * g.modules_x) for g in self.geometries]
        return [Matrix(n * g.rows, g.filters, order=(self.operation, g), windows=n, shrinks=True) for g, n in found]

    @property
    def biases(self) -> Matrix:
        """(filters * modules, 1)."""
        return self._unshared_biases()
