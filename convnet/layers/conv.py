"""The convolutional layer."""

from __future__ import annotations

from convnet.config.keys import Key
from convnet.config.kinds import Bool, Float
from convnet.layers.base import LayerReport
from convnet.layers.filters import FilterLayer
from convnet.shape import Shape
from convnet.weights.parameter import Matrix


class Convolution(FilterLayer):
    """The same filters at every window: cross-correlation, the filters not flipped.

    The weights of an input are (filterChannels * filterSize^2, filters * groups), a column for each filter.
    """

    type = "conv"
    operation = "conv"
    keys = (
        *FilterLayer.keys,
        Key("sharedBiases", Bool(), "one bias for each filter (true) or for each output (false)", default=True),
    )
    params = (
        *FilterLayer.params,
        Key("wcNormMin", Float(minimum=0), "the least that sqrt(sum((w - mean of w)^2)) / n may be for the n weights "
            "of a filter, which is scaled after an update; only with wcNormMax", default=0.0, per_input=True),
        Key("wcNormMax", Float(minimum=0), "the most that this may be; 0: no bounds", default=0.0, per_input=True),
    )  # fmt: skip

    def output_shape(self, report: LayerReport) -> Shape | None:
        """`filters * groups` maps of `modules` pixels, the same for all inputs."""
        for low, high in zip(self.learning["wcNormMin"], self.learning["wcNormMax"], strict=True):
            if low > high:
                report.error(f"expected at most wcNormMax, {high:g}, found {low:g}", "wcNormMin")
        return super().output_shape(report)

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
