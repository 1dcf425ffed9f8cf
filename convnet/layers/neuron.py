"""The neuron layer: a function of each number. `neuron=` on another layer puts one behind it."""

from __future__ import annotations

from convnet.config.keys import Key
from convnet.config.kinds import Custom
from convnet.layers.base import Layer, LayerReport
from convnet.layers.emitter import Emitter
from convnet.ops.neuron import NeuronFunction, parse
from convnet.shape import Shape

NEURON = Custom("a neuron: relu, tanh[a,b], ...", parse)


class Neuron(Layer):
    """Applies a function to every number.

    ident x; logistic 1/(1+e^-x); relu max(0,x); brelu[a] min(a,max(0,x)); softrelu log(1+e^x); abs |x|; square x^2;
    sqrt; tanh[a,b] a*tanh(b*x); linear[a,b] a*x+b; log[a] log(a+x); drelu[a] x-a*tanh(x/a).
    """

    type = "neuron"
    takes_neuron = False
    keys = (Key("neuron", NEURON, "the function"),)

    @property
    def function(self) -> NeuronFunction:
        """The function with its constants."""
        function: NeuronFunction = self.values["neuron"]
        return function

    @property
    def reads_own_output(self) -> bool:  # type: ignore[override]
        """Most derivatives are computed from the output."""
        return self.function.from_output

    def output_shape(self, report: LayerReport) -> Shape | None:
        """The input's."""
        return self.input_shapes[0]

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """One pass."""
        plan.emit("neuron.fprop", plan.input(0, self.shape.maps), plan.output(), self.function)

    def bprop(self, plan: Emitter) -> None:
        """The gradient times the derivative; the gradient itself where the cost above has multiplied already."""
        below = plan.input_grad(0, self.shape.maps)
        if below is None:
            return
        if self.merged:
            if below.tensor.memory is not plan.output_grad().memory:
                plan.emit("eltwise.scale", plan.output_grad(), below.tensor, coeff=1.0, accumulate=below.accumulate)
        else:
            read = plan.output() if self.function.from_output else plan.input(0, self.shape.maps)
            plan.emit("neuron.bprop", plan.output_grad(), read, below.tensor, self.function,
                      accumulate=below.accumulate)  # fmt: skip
