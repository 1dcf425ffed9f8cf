"""Keys that many layer types take: how a layer is wired, what is behind it, where it runs."""

from __future__ import annotations

from convnet.config.keys import Ignored, Key
from convnet.config.kinds import Float, Int, ListOf, Names
from convnet.layers.base import Layer
from convnet.layers.neuron import NEURON

MOST_DEVICES = 64  # of a run
INPUTS = Key("inputs", Names(), "names of the layers below, which must come earlier in the file")
GPU = Key(
    "gpu",
    ListOf(Int(minimum=0, maximum=MOST_DEVICES - 1)),
    "on which of the devices the layer runs (0 is the first); several: a replica on each, for a part of the minibatch; "
    "default: where its first input runs",
    default=None,
)
NEURON_KEY = Key("neuron", NEURON, "function that the output passes through, as a layer '<name>_neuron'", default=None)
DROPOUT = Key(
    "dropout",
    Float(minimum=0, below=1),
    "probability that a number of the output is set to 0 in training, by a dropout2 layer '<name>_dropout' before the "
    "neuron; a test multiplies by 1 - dropout",
    default=0.0,
    in_layers=True,
)
_PRECISION = "--precision says what all layers compute with"
# Of 2012, on any layer.
IGNORED = (
    Ignored("quantF", _PRECISION, harmless=("default",)),
    Ignored("quantB", _PRECISION, harmless=("default",)),
)


def common_keys(cls: type[Layer]) -> tuple[Key, ...]:
    """The keys of the layer file besides `type` and `inputs` that a layer type takes without declaring them."""
    if cls.inputs_range[1] == 0:
        return ()
    return (GPU, NEURON_KEY) if cls.takes_neuron else (GPU,)


def common_params(cls: type[Layer]) -> tuple[Key, ...]:
    """The keys of the parameter file that a layer type takes without declaring them."""
    return () if cls.is_cost or cls.inputs_range[1] == 0 else (DROPOUT,)
