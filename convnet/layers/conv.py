"""The convolutional layer."""

from __future__ import annotations

from convnet.config.keys import Key
from convnet.config.kinds import Bool
from convnet.layers.filters import FilterLayer
from convnet.weights.parameter import Matrix


class Convolution(FilterLayer):
    """The same filters at every window: cross-correlation, the filters not flipped.

    The weights of an input are (channels / groups * filterSize^2, filters * groups), a column for each filter.
    """

    type = "conv"
    operation = "conv"
    keys = (
        *FilterLayer.keys,
        Key("sharedBiases", Bool(), "one bias for each filter (true) or for each output (false)", default=True),
    )

    @property
    def weights(self) -> list[Matrix]:
        """One matrix for each input."""
        return [Matrix(g.rows, g.filters, order=(self.operation, g)) for g in self.geometries]

    @property
    def biases(self) -> Matrix:
        """(filters, 1), or (filters * modules, 1) if they are not shared."""
        if not self.values["sharedBiases"]:
            return self._unshared_biases()
        return Matrix(self.geometries[0].filters, 1)
