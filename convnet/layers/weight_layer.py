"""What layers with weights have in common: initial values, sharing, learning rates."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from typing import ClassVar

from convnet.config.keys import Ignored, Key
from convnet.config.kinds import Bool, Custom, Float, FunctionCall, Int
from convnet.layers.base import UNLIMITED, Layer
from convnet.layers.emitter import Emitter
from convnet.weights.parameter import Matrix
from convnet.weights.schedule import DECAY_TEXT, SCHEDULE_TEXT, parse_decay, parse_schedule

# Where functions are that copy weights, and cuda-convnet2's name of that module.
_INITW = ("convnet.training.initw", "initw")
SCHEDULE = Custom(SCHEDULE_TEXT, parse_schedule)
DECAY = Custom(DECAY_TEXT, parse_decay)


def parse_weight_source(text: str) -> list[tuple[str, int] | None]:
    """`,other,other[2]` -> [None, ("other", 0), ("other", 2)]: one item for each input, an empty one for an own matrix.

    Raises:
        ValueError: if an item is not of the form layer or layer[index].
    """
    return [_source(item.strip()) for item in text.split(",")]


def _source(item: str) -> tuple[str, int] | None:
    match = re.fullmatch(r"([^\[\],]+?)(?:\[(\d{1,6})\])?", item)
    if item and not match:
        raise ValueError(f"expected layer or layer[index], found '{item}'")
    return (match[1], int(match[2] or 0)) if match else None


WEIGHT_SOURCE = Custom("layer or layer[index] for each input, nothing for an own matrix", parse_weight_source)


class WeightLayer(Layer):
    """A layer with one weight matrix for each input and one set of biases."""

    needs_params = True
    fuses_neuron = True
    inputs_range = (1, UNLIMITED)

    init_keys: ClassVar[tuple[Key, ...]] = (
        Key("initW", Float(minimum=0), "standard deviation of the initial weights, drawn from N(0, initW^2)",
            default=0.01, per_input=True),
        Key("initB", Float(), "initial value of all biases", default=0.0),
        Key("initWFunc", FunctionCall(("makew", "makewcat"), *_INITW), "a Python function func(layer, input, (rows, "
            "columns), params=[...]) that gives all initial weight matrices as float32 arrays; makew(checkpoint) "
            "copies those of the layer of this name, makewcat(checkpoint,layer,...) puts those of layers side by side",
            default=None),
        Key("initBFunc", FunctionCall(("makeb", "makebcat", "makeb_vec"), *_INITW), "a Python function func(layer, "
            "(rows, columns), params=[...]) that gives the initial biases as a float32 array; makeb(checkpoint) and "
            "makebcat(checkpoint,layer,...) copy them, makeb_vec(value,...) are these", default=None),
        Key("weightSource", WEIGHT_SOURCE, "whose weight matrix each input uses", default=None),
    )  # fmt: skip
    params: ClassVar[tuple[Key, ...]] = (
        Key("epsW", SCHEDULE, "learning rate of the weights", per_input=True),
        Key("epsB", SCHEDULE, "learning rate of the biases"),
        Key("schedW", DECAY, "how a constant epsW changes, as written in 2012: epsW=0.01 with schedW=exp[tgtFactor=250]"
            " is epsW=exp[base=0.01;tgtFactor=250]", default=None),
        Key("schedB", DECAY, "how a constant epsB changes", default=None),
        Key("momW", Float(minimum=0), "momentum of the weights", per_input=True),
        Key("momB", Float(minimum=0), "momentum of the biases"),
        Key("nesterov", Bool(), "Nesterov's momentum, for weights and biases", default=False),
        Key("updatePeriod", Int(minimum=0), "weights and biases are updated after every so many passes, with the sum of"
            " their gradients; 0: as often as possible", default=0),
        Key("wc", Float(minimum=0), "weight decay: each update takes epsW * wc * weight away", default=0.0,
            per_input=True),
        Key("wball", Float(minimum=0), "if above 0, the L2 norm that the weights of each filter are scaled to after an "
            "update (local layers: scaled down to)", default=0.0, per_input=True),
        Key("wballMax", Float(minimum=0), "if above 0, the most that this norm may be; what 2012 wrote as wball, over "
            "the number of a filter's weights", default=0.0, per_input=True),
    )  # fmt: skip
    ignored: ClassVar[tuple[Ignored, ...]] = (
        Ignored("superEps", "cuda-convnet2 read it but never used it"),
        Ignored("superMom", "cuda-convnet2 read it but never used it"),
        Ignored("wcnorm", "the code of 2012 does not read it; wcNormMin and wcNormMax bound the norm of filters"),
        Ignored("sched", "the code of 2012 does not read it either; schedW and schedB say how rates change"),
    )

    @abstractmethod
    def _fprop_input(self, plan: Emitter, index: int, **last: object) -> None:
        """Emit the step that adds input `index` to the output."""

    def fprop(self, plan: Emitter, *, training: bool) -> None:
        """Add up the inputs; biases and neuron go with the last one."""
        for index in range(len(self.inputs)):
            last = index == len(self.inputs) - 1
            self._fprop_input(
                plan,
                index,
                bias=plan.biases() if last else None,
                neuron=plan.fused_neuron if last else None,
                accumulate=index > 0,
            )

    def bprop(self, plan: Emitter) -> None:
        """Gradients of the biases, then of each matrix and each input."""
        biases = plan.biases_grad()
        if biases is not None:
            gradient, columns = plan.output_grad(), biases.tensor.memory.numbers
            gradient = gradient.view(math.prod(gradient.shape) // columns, columns)
            plan.emit("bias.bprop", gradient, biases.tensor, accumulate=biases.accumulate)
        for index in range(len(self.inputs)):
            self._bprop_input(plan, index)

    @abstractmethod
    def _bprop_input(self, plan: Emitter, index: int) -> None:
        """Emit the gradients of matrix `index` and of input `index`."""

    @property
    @abstractmethod
    def weights(self) -> list[Matrix]:
        """The weight matrices, one for each input."""
