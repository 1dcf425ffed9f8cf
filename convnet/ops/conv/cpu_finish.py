"""What is left to do with the outputs of filters when their products are added up."""

from __future__ import annotations

from convnet.backends.cpu.device import Array
from convnet.backends.cpu.jit import inlined
from convnet.ops.conv.cpu_windows import add
from convnet.ops.neuron import IDENT, NeuronFunction
from convnet.ops.neuron.cpu import apply

_RELU, _IDENT = NeuronFunction("relu").code, IDENT.code


@inlined
def in_transform(bias: Array, filters: int, code: int) -> tuple[int, int, int]:
    """What a transform does with results: 1 to add a bias of each filter, 1 for relu; and the neuron that is left."""
    shared = 1 if bias.size == filters else 0
    relu = 1 if code == _RELU and (shared == 1 or bias.size == 0) else 0
    return shared, relu, _IDENT if relu == 1 else code


@inlined
def finish(
    y: Array, first: int, last: int, filters: int, bias: Array, add_bias: bool, code: int, fa: float, fb: float
) -> None:
    """Add the bias, which repeats after its own length, to positions first..last, and apply the neuron."""
    if add_bias:
        for at in range(first * filters, last * filters, filters):
            add(y, at, bias, at % bias.size, filters)
    if code != _IDENT:
        apply(code, fa, fb, y, first * filters, last * filters)
