"""Nets on the CPU that round what GPUs round: what gradients in tf32 and bf16 are compared with.

Gradients of right kernels may be 3 % off those in float32, and 30 % where the slope jumps. Off those that were rounded
at the same places they are as far as sums in another order are.
"""

import ml_dtypes
import numpy as np

from convnet import ops
from convnet.ops.neuron import IDENT
from convnet.tensor import Content, Tensor

PRODUCTS = ("conv", "local", "matmul")
BIAS_AFTERWARDS = ("local.fprop", "matmul.fprop")  # in a pass of its own, after the sums were written


def round_as(net, precision):
    """Let a net on the CPU compute gradients as one with this precision does: its initial ones, before any update."""
    if precision == "fp32":
        return net
    if precision == "bf16":
        for parameter in net.graph.parameters:
            if parameter.index is not None:
                net.store.set("weights", parameter, to_bf16(net.store.get("weights", parameter)))
    rounding = {"tf32": _with_rounded_operands, "bf16": _with_rounded_activations}[precision]
    program = net.bound.program

    def rounded(*, training, cases):
        return [(step, rounding(net, step, launch, cases)) for step, launch in program(training=training, cases=cases)]

    net.bound.program = rounded
    return net


def to_bf16(numbers):
    """Rounded to 7 bits of mantissa."""
    return numbers.astype(ml_dtypes.bfloat16).astype(numbers.dtype)


def to_tf32(numbers):
    """float32 rounded to 10 bits of mantissa, away from 0 where there are two nearest."""
    half, kept = np.uint32(1 << 12), np.uint32(0xFFFFE000)
    return ((numbers.view(np.uint32) + half) & kept).view(np.float32)


def _with_rounded_operands(net, step, launch, cases):
    """Products read their first two arrays rounded; these stay as they are."""
    if step.operation.partition(".")[0] not in PRODUCTS:
        return launch
    operands = [net.bound.array(tensor, cases) for tensor in step.arguments[:2]]

    def run():
        exact = [array.copy() for array in operands]
        for array in operands:
            array[...] = to_tf32(array)
        launch()
        for array, values in zip(operands, exact, strict=True):
            array[...] = values

    return run


def _with_rounded_activations(net, step, launch, cases):
    """Activations and their gradients are rounded whenever they are written; images before they are read."""
    held = [tensor for tensor in step.tensors() if tensor.memory.space == "activations"]
    tensors = [tensor for tensor in held if tensor.memory.content is Content.ACTIVATIONS]
    arrays = [net.bound.array(tensor, cases) for tensor in tensors]
    launches = _sums_and_rest(net, step, cases) if step.operation in BIAS_AFTERWARDS else [launch]

    def run():
        for one in (lambda: None, *launches):
            one()
            for array in arrays:
                array[...] = to_bf16(array)

    return run


def _sums_and_rest(net, step, cases):
    """The two launches of a product that is followed by bias and neuron."""

    def value(given):
        return net.bound.array(given, cases) if isinstance(given, Tensor) else given

    name, _, function = step.operation.partition(".")
    parameters = {key: value(given) for key, given in step.parameters.items()}
    y, bias, neuron = (parameters[key] for key in ("y", "bias", "neuron"))
    alone = {**parameters, "bias": None, "neuron": None}
    product = getattr(ops.load(name, "cpu"), function)(net.devices[0], *map(value, step.arguments), **alone)
    apply = ops.load("neuron", "cpu").fprop(net.devices[0], y, y, neuron or IDENT)

    def rest():
        if bias is not None:
            rows = y.reshape(-1, bias.size)
            rows += bias
        apply()

    return [product, rest]
