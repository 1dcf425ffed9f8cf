"""What each layer of a net reaches on a GPU, beside what the card was measured to do."""

from __future__ import annotations

from typing import Any

import numpy as np
from gpu_timing import CudaMarks

from convnet.backends.cuda.cublas import gemm
from convnet.backends.cuda.device import CudaDevice
from convnet.graph.layer_graph import LayerGraph
from convnet.net import ConvNet
from convnet.plan.step import Step
from convnet.plan.work import flops_of, traffic_of

REPEATS = 20


def ceilings(device: CudaDevice, side: int = 8192, copied: int = 1 << 30) -> dict[str, float]:
    """TFLOP/s of a large matrix product at the device's precision, and GB/s (read and written) of a large copy."""
    marks, dtype = CudaMarks(device.stream), device.activations
    size = side * side * dtype.itemsize
    blocks = [device.allocate(max(size, copied)) for _ in range(3)]
    a, b, c = (device.array(block, 0, (side, side), dtype) for block in blocks)
    for array in (a, b):
        values = np.random.default_rng(0).standard_normal((side, side), np.float32)
        device.upload(values.astype(dtype), array)
    product = gemm(device, False, False, side, side, side, a, side, b, side, c, side, accumulate=False)
    import pycuda.driver as cuda

    def copy() -> None:
        cuda.memcpy_dtod_async(int(blocks[1]), int(blocks[0]), copied, device.stream)

    return {
        "TFLOP/s": 2 * side**3 / marks.median_ms(product, REPEATS) / 1e9,
        "GB/s": 2 * copied / marks.median_ms(copy, REPEATS) / 1e6,
    }


def layers(graph: LayerGraph, data: list[Any], device: CudaDevice, ceiling: dict[str, float]) -> list[dict[str, Any]]:
    """For each step of a training minibatch: ms, TFLOP/s or GB/s, and the share of the ceiling."""
    net, marks, mini = ConvNet(graph, device, mini=len(data[0])), CudaMarks(device.stream), len(data[0])
    net.train_minibatch(data)
    rows = []
    for step, launch in net.bound.program(training=True, cases=mini):
        ms = marks.median_ms(launch, REPEATS)
        rate, unit = _rate(step, mini, net, ms)
        rows.append({"phase": step.phase, "layer": step.layer, "operation": step.operation, "ms": ms, "rate": rate,
                     "unit": unit, "share": rate / ceiling[unit]})  # fmt: skip
    return rows


def _rate(step: Step, mini: int, net: ConvNet, ms: float) -> tuple[float, str]:
    if flop := flops_of(step, mini):
        return flop / ms / 1e9, "TFLOP/s"
    return traffic_of(step, net.bound.plan.types, mini) / ms / 1e6, "GB/s"
