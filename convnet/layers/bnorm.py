"""Batch normalization."""

from __future__ import annotations

from typing import Any

from convnet.config.keys import Key
from convnet.config.kinds import Float, Int
from convnet.layers.base import Layer, LayerReport, images
from convnet.layers.emitter import Emitter
from convnet.layers.weight_layer import WeightLayer
from convnet.shape import Maps, Shape
from convnet.weights.parameter import Matrix


class BatchNorm(Layer):
    """Batch normalization: y = (x - mean) / sqrt(variance + eps) * scale + shift, for each map or each plain feature.

    In training, mean and variance are those of the minibatch, over all its cases and pixels (on each device, over its
    own part of it). In testing they are running averages, which each training minibatch moves: average = momentum *
    average + (1 - momentum) * value, the variance being divided by the count less 1. Checkpoints hold them as
    <layer>.mean and <layer>.variance. scale (the weights, at first 1) and shift (the biases, at first 0) are learned.
    """

    type = "bnorm"
    needs_params = True
    fuses_neuron = True
    keys = (
        Key("channels", Int(minimum=1), "channels of the input; default: its maps, or each plain feature by itself",
            default=None),
        Key("eps", Float(above=0), "what is added to the variance", default=1e-5),
        Key("momentum", Float(minimum=0, maximum=1), "how much of the running averages each minibatch leaves",
            default=0.9),
    )  # fmt: skip
    params = tuple(key for key in WeightLayer.params if key.name not in ("wball", "wballMax"))

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.maps: Maps | None = None

    def output_shape(self, report: LayerReport) -> Shape | None:
        """The input's; plain features with `channels` become square maps."""
        shape, channels = self.input_shapes[0], self.values["channels"]
        self.maps = shape.maps if channels is None else images(self, 0, channels, report)
        if channels is None:
            return shape
        return None if self.maps is None else Shape.of_maps(*self.maps)

    @property
    def _channels(self) -> int:
        return self.maps.channels if self.maps else self.input_shapes[0].features

    @property
    def weights(self) -> list[Matrix]:
        """The scale, (1, channels)."""
        return [Matrix(1, self._channels, initial=1.0)]

    @property
    def biases(self) -> Matrix:
        """The shift, (1, channels)."""
        return Matrix(1, self._channels, initial=0.0)

    @property
    def statistics(self) -> dict[str, Matrix]:
        """The running averages, (1, channels) each."""
        return {"mean": Matrix(1, self._channels, initial=0.0), "variance": Matrix(1, self._channels, initial=1.0)}

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Training sums over the input first."""
        arrays = [plan.input(0, self.maps), plan.output(), plan.exact(0), plan.biases()]
        arrays += [plan.exact("mean"), plan.exact("variance")]
        options = {"eps": self.values["eps"], "neuron": plan.fused_neuron}
        if training:
            batch = plan.whole("batch", (2, self._channels))
            plan.emit("bnorm.fprop_train", *arrays, batch, momentum=self.values["momentum"], **options)
        else:
            plan.emit("bnorm.fprop_test", *arrays, **options)

    def bprop(self, plan: Emitter) -> None:
        """Sums over the gradient, which are those of scale and shift; then the input's gradient."""
        pair = (2, self._channels)
        gradient, x = plan.output_grad(), plan.input(0, self.maps)
        batch, sums = plan.whole("batch", pair), plan.whole("sums", pair)
        learned = plan.weights_grad(0), plan.biases_grad()
        dscale, dshift = (target and target.tensor.view(self._channels) for target in learned)
        plan.emit("bnorm.bprop_sums", gradient, x, batch, sums, dscale, dshift,
                  accumulate=any(target.accumulate for target in learned if target))  # fmt: skip
        below = plan.input_grad(0, self.maps)
        if below is not None:
            plan.emit("bnorm.bprop_acts", gradient, x, plan.exact(0), batch, sums, below.tensor,
                      accumulate=below.accumulate)  # fmt: skip
