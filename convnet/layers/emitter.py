"""What a layer may ask of the plan that is being made: tensors to read and write, and steps to run."""

from __future__ import annotations

from typing import Protocol

from convnet.ops.neuron import NeuronFunction
from convnet.shape import Maps
from convnet.tensor import Target, Tensor


class Emitter(Protocol):
    """The plan, as a layer sees it while it emits its steps.

    `maps` arguments say how the layer reads its input: as these maps, or as plain features (None). Where the layer
    below lies in memory otherwise, the plan inserts the conversion.
    """

    @property
    def fused_neuron(self) -> NeuronFunction | None:
        """The neuron that this layer is to apply to its output, or None."""

    def input(self, index: int, maps: Maps | None) -> Tensor:
        """The output of input layer `index`."""

    def input_grad(self, index: int, maps: Maps | None) -> Target | None:
        """Where the gradient of that output goes; None if nobody needs it."""

    def output(self) -> Tensor:
        """The layer's own output."""

    def output_grad(self) -> Tensor:
        """The gradient of the layer's output, complete."""

    def weights(self, index: int) -> Tensor:
        """Weight matrix `index`, in the backend's order."""

    def weights_grad(self, index: int) -> Target | None:
        """Where its gradient goes; None if the matrix does not learn."""

    def biases(self) -> Tensor:
        """The biases as a vector, in the backend's order."""

    def biases_grad(self) -> Target | None:
        """Where their gradient goes; None if they do not learn."""

    def exact(self, which: int | str) -> Tensor:
        """Weight matrix `which` as a vector that is never rounded, or the statistic of this name."""

    def costs(self, values: int) -> Tensor:
        """Room for `values` numbers a case, which the net adds up over the minibatch."""

    def dropout_stream(self) -> dict[str, object]:
        """The arguments that number this layer's random draws: seed, stream, counter."""

    def temporary(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Room of the layer's own for activations or gradients of this shape in each case; the same for one name."""

    def whole(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """As `temporary`, but numbers of the type of weights, and these once for all cases."""

    def emit(self, operation: str, *arguments: object, **parameters: object) -> None:
        """Run `operation` ("conv.fprop") of the device's backend with these tensors and parameters at this point."""
