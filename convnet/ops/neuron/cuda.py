"""Neurons on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.backends.cuda.checks import check_alike
from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.ops.neuron import NeuronFunction

_SOURCE = Path(__file__).with_name("neuron.cu")


def fprop(dev: CudaDevice, x: GPUArray, y: GPUArray, f: NeuronFunction) -> Launch:
    """`y` = f(x); any shape, x and y alike; y may be x itself."""
    check_alike("neuron", x, y)
    kernel = dev.kernel(_SOURCE, "fprop", **dev.act)
    return dev.per_item(kernel, dev.packs(x.size), x, y, np.int64(x.size), f.code, f.a, f.b)


def bprop(dev: CudaDevice, dy: GPUArray, xy: GPUArray, dx: GPUArray, f: NeuronFunction, *, accumulate: bool) -> Launch:
    """`dx` (+)= dy f'; `xy` is y where `f.from_output`, otherwise x; dx may be dy itself unless `accumulate`."""
    check_alike("neuron", dy, xy, dx)
    if accumulate and dy.ptr == dx.ptr:
        raise ValueError("neuron bprop cannot accumulate onto its own gradient")
    kernel = dev.kernel(_SOURCE, "bprop", **dev.act)
    return dev.per_item(kernel, dev.packs(dx.size), dy, xy, dx, np.int64(dx.size), f.code, f.a, f.b, int(accumulate))
