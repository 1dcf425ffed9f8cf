"""Matrix products on a GPU: cuBLAS, then one pass for bias and neuron."""

from __future__ import annotations

from convnet.backends.cuda.cublas import gemm
from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.launches import in_turn
from convnet.ops.bias.cuda_neuron import add_bias_apply_neuron
from convnet.ops.neuron import IDENT, NeuronFunction


def fprop(
    dev: CudaDevice, x: GPUArray, w: GPUArray, bias: GPUArray | None, y: GPUArray, *, accumulate: bool,
    neuron: NeuronFunction | None,
) -> Launch:  # fmt: skip
    """`y` = f(x w [+ y] [+ bias])."""
    n, i, o = _sizes(x, w, y)
    if bias is not None and bias.shape != (o,):
        raise ValueError(f"matmul: bias of shape {bias.shape} for {o} outputs")
    product = gemm(dev, False, False, n, o, i, x, i, w, o, y, o, accumulate=accumulate)
    if bias is None and (neuron or IDENT) == IDENT:
        return product
    # cublasLt could do the rest while it writes y. Counted for AlexNet's fc6 to fc8 in bfloat16: y is not read and
    # written again, 4.7 MB at 128 cases and 38 MB at 1024 (1.6 and 13 us at 3 TB/s), and three launches of about 3 us
    # are saved. That is 11 us of a step that is counted as 1.6 ms (0.7 %), and 22 us of one 8 times as long (0.2 %):
    # not worth a second way to multiply.
    return in_turn([product, add_bias_apply_neuron(dev, y, bias, neuron or IDENT)])


def bprop_acts(dev: CudaDevice, dy: GPUArray, w: GPUArray, dx: GPUArray, *, accumulate: bool) -> Launch:
    """`dx` (+)= dy w'."""
    n, i, o = _sizes(dx, w, dy)
    return gemm(dev, False, True, n, i, o, dy, o, w, o, dx, i, accumulate=accumulate)


def bprop_weights(dev: CudaDevice, x: GPUArray, dy: GPUArray, dw: GPUArray, *, accumulate: bool) -> Launch:
    """`dw` (+)= x' dy."""
    n, i, o = _sizes(x, dw, dy)
    return gemm(dev, True, False, i, o, n, x, i, dy, o, dw, o, accumulate=accumulate)


def _sizes(x: GPUArray, w: GPUArray, y: GPUArray) -> tuple[int, int, int]:
    """n, i, o. Raises ValueError unless the shapes fit together."""
    (n, i), o = x.shape, y.shape[1]
    if w.shape != (i, o) or y.shape != (n, o):
        raise ValueError(f"matmul: x {x.shape}, w {w.shape}, y {y.shape} do not fit together")
    return n, i, o
