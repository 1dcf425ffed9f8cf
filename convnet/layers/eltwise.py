"""Layers that combine inputs of equal size number by number."""

from __future__ import annotations

from convnet.config.keys import Key
from convnet.config.kinds import Float
from convnet.layers.base import UNLIMITED, Layer, LayerReport
from convnet.layers.emitter import Emitter
from convnet.shape import Shape


class EltwiseLayer(Layer):
    """Inputs of equal size; the output has the first input's maps."""

    def output_shape(self, report: LayerReport) -> Shape | None:
        """The first input's shape."""
        sizes = [shape.features for shape in self.input_shapes]
        if len(set(sizes)) > 1:
            found = ", ".join(f"{size} from '{name}'" for size, name in zip(sizes, self.inputs, strict=True))
            report.error(f"expected inputs of equal size, found {found}", "inputs")
            return None
        return self.input_shapes[0]


class EltwiseSum(EltwiseLayer):
    """The sum of all inputs, each times its coefficient."""

    type = "eltsum"
    inputs_range = (1, UNLIMITED)
    params = (Key("coeffs", Float(), "factor of each input", default=1.0, per_input=True, in_layers=True),)

    def _coefficient(self, index: int) -> float:
        return float(self.learning["coeffs"][index])

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass over all inputs."""
        inputs = range(len(self.inputs))
        plan.emit("eltwise.fprop_sum", [plan.input(i, self.shape.maps) for i in inputs], plan.output(),
                  coeffs=[self._coefficient(i) for i in inputs])  # fmt: skip

    def bprop(self, plan: Emitter) -> None:
        """Each input receives the gradient times its coefficient."""
        for index in range(len(self.inputs)):
            below = plan.input_grad(index, self.shape.maps)
            if below is not None:
                plan.emit("eltwise.scale", plan.output_grad(), below.tensor, coeff=self._coefficient(index),
                          accumulate=below.accumulate)  # fmt: skip


class EltwiseMax(EltwiseLayer):
    """The largest of all inputs. Every input equal to it receives the gradient."""

    type = "eltmax"
    inputs_range = (2, UNLIMITED)
    reads_own_output = True

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass over all inputs."""
        plan.emit("eltwise.fprop_max", [plan.input(i, self.shape.maps) for i in range(len(self.inputs))], plan.output())

    def bprop(self, plan: Emitter) -> None:
        """One pass for each input."""
        for index in range(len(self.inputs)):
            below = plan.input_grad(index, self.shape.maps)
            if below is not None:
                plan.emit("eltwise.bprop_max", plan.output_grad(), plan.input(index, self.shape.maps), plan.output(),
                          below.tensor, accumulate=below.accumulate)  # fmt: skip
