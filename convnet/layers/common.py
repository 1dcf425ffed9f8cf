"""Keys that many layer types take: how a layer is wired, which neuron is behind it, where it runs."""

from __future__ import annotations

from convnet.config.keys import Ignored, Key
from convnet.config.kinds import Int, ListOf, Names
from convnet.layers.base import Layer
from convnet.layers.neuron import NEURON

INPUTS = Key("inputs", Names(), "names of the layers below, which must come earlier in the file")
GPU = Key(
    "gpu",
    ListOf(Int(minimum=0)),
    "on which of the devices the layer runs (0 is the first); several: a replica on each, for a part of the minibatch; "
    "default: where its first input runs",
    default=None,
)
NEURON_KEY = Key("neuron", NEURON, "function that the output passes through, as a layer '<name>_neuron'", default=None)
# Of a fork of cuda-convnet.
DROPOUT = Ignored("dropout", "layers of type dropout and dropout2 do this", harmless=(0,))


def common_keys(cls: type[Layer]) -> tuple[Key, ...]:
    """The keys besides `type` and `inputs` that a layer type takes without declaring them."""
    if cls.inputs_range[1] == 0:
        return ()
    return (GPU, NEURON_KEY) if cls.takes_neuron else (GPU,)
