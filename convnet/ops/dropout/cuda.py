"""Dropout on a GPU: the random words are drawn where they are used, never stored."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.ops.dropout import Counter, check_apply, threshold

_SOURCE = Path(__file__).with_name("dropout.cu")
_GROUP = 4  # features that one call of Philox serves


def apply(
    dev: CudaDevice,
    x: GPUArray,
    y: GPUArray,
    *,
    keep: float,
    scale: float,
    seed: int,
    stream: int,
    counter: Counter,
    first_case: int = 0,
    accumulate: bool,
) -> Launch:
    """y (+)= x * mask * scale. x, y: (n, ...) of one shape; y may be x.

    keep: the probability that a feature stays, 0..1. seed: 64 bits; stream: 32 bits. counter is read at each launch.
    """
    check_apply(x, y)
    cases, features, low = len(x), math.prod(x.shape[1:]), 0xFFFFFFFF
    size = span(dev, features)
    kernel = dev.kernel(_SOURCE, "apply_packs" if size > 1 else "apply_groups", **dev.act)
    first, *names = (np.uint32(word & low) for word in (first_case, stream, seed, seed >> 32))
    return dev.call(
        kernel, *rows_and_columns(cases, -(-features // max(size, _GROUP))), x, y, cases, features,
        np.uint32(threshold(keep)), float(scale), first, lambda: np.uint32(counter.value & low), *names,
        int(accumulate),
    )  # fmt: skip
