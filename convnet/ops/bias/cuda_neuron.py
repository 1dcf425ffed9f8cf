"""What follows a matrix product: adding the bias and applying the neuron, in one pass over the result."""

from __future__ import annotations

from pathlib import Path

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.ops.neuron import NeuronFunction

_SOURCE = Path(__file__).with_name("bias_neuron.cu")


def add_bias_apply_neuron(dev: CudaDevice, y: GPUArray, bias: GPUArray | None, f: NeuronFunction) -> Launch:
    """`y` = f(y + bias), in place.

    y: (rows, columns), activations. bias: float32, `columns` numbers or a multiple of them that the numbers of y are a
    multiple of: number i of y gets number i % bias.size, so a bias may differ between the positions of a case.
    """
    period = y.shape[-1] if bias is None else bias.size
    if period % y.shape[-1] or y.size % period:
        raise ValueError(f"bias: {period} biases for an array of shape {y.shape}")
    size = span(dev, period)
    kernel = dev.kernel(_SOURCE, "packs" if size > 1 else "singles", **dev.act)
    rows = y.size // period
    return dev.call(kernel, *rows_and_columns(rows, period // size), y, bias, rows, period, f.code, f.a, f.b)
