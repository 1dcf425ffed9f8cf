"""The fully-connected layer in parts."""

from __future__ import annotations

from typing import Any

from convnet.config.keys import Key
from convnet.config.kinds import Int
from convnet.layers.base import LayerReport
from convnet.layers.emitter import Emitter
from convnet.layers.weight_layer import WeightLayer
from convnet.ops.local import LocalGeometry
from convnet.shape import Maps, Shape
from convnet.weights.parameter import Matrix


class SplitFullyConnected(WeightLayer):
    """As fc, but in parts that know nothing of each other: part p of the outputs sees only part p of each input.

    y_p = sum over inputs of x_p W_p, plus biases. The weights of an input are (inputs, outputs): of `parts` equal parts
    of the rows, the p-th is W_p.
    """

    type = "sfc"
    keys = (
        Key("parts", Int(minimum=1), "number of parts; it divides the features of each input"),
        Key("outputs", Int(minimum=1), "number of outputs of each part"),
        *WeightLayer.init_keys,
    )

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._geometries: list[LocalGeometry] = []

    def output_shape(self, report: LayerReport) -> Shape | None:
        """parts * outputs features."""
        parts, outputs = self.values["parts"], self.values["outputs"]
        for name, shape in zip(self.inputs, self.input_shapes, strict=True):
            if shape.features % parts:
                report.error(f"expected a divisor of the {shape.features} outputs of input '{name}', found {parts}",
                             "parts")  # fmt: skip
        if any(shape.features % parts for shape in self.input_shapes):
            return None
        # A column of single pixels, each with filters of its own: pixel p has the features of part p as its channels.
        self._geometries = [
            LocalGeometry(Maps(shape.features // parts, parts, 1), outputs, filter_size=1, padding=0, stride=1,
                          groups=1, modules_y=parts, modules_x=1)
            for shape in self.input_shapes
        ]  # fmt: skip
        return Shape(parts * outputs)

    @property
    def weights(self) -> list[Matrix]:
        """(features of the input, outputs of a part) for each input."""
        return [Matrix(*g.weights, windows=g.modules) for g in self._geometries]

    @property
    def biases(self) -> Matrix:
        """(1, parts * outputs)."""
        return Matrix(1, self.shape.features)

    def _fprop_input(self, plan: Emitter, index: int, **last: object) -> None:
        g = self._geometries[index]
        x = plan.input(index, None).view(*_pixels(g.maps))
        y = plan.output().view(*_pixels(g.output))
        plan.emit("local.fprop", x, plan.weights(index), y=y, geometry=g, **last)

    def _bprop_input(self, plan: Emitter, index: int) -> None:
        g, weights = self._geometries[index], plan.weights_grad(index)
        gradient = plan.output_grad().view(*_pixels(g.output))
        if weights is not None:
            x = plan.input(index, None).view(*_pixels(g.maps))
            plan.emit("local.bprop_weights", x, gradient, weights.tensor, g, accumulate=weights.accumulate)
        below = plan.input_grad(index, None)
        if below is not None:
            dx = below.tensor.view(*_pixels(g.maps))
            plan.emit("local.bprop_acts", gradient, plan.weights(index), dx, g, accumulate=below.accumulate)


def _pixels(maps: Maps) -> tuple[int, int, int]:
    """How maps lie in memory: the features of part after part."""
    return maps.y, maps.x, maps.channels
