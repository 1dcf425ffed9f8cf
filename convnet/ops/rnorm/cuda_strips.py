"""Launches of the kernels of the normalizations within maps: the host's side of <convnet/strips.cuh>."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convnet.backends.cuda.device import CudaDevice, GPUArray, Launch
from convnet.backends.cuda.grid import rows_and_columns, span
from convnet.ops.rnorm import Normalization, cuda_cut
from convnet.ops.rnorm.cuda_numbers import numbers, power_macro

_WIDEST = 4  # numbers of a span: four floats are what shared memory gives at once
_BLOCKS = 4  # to a multiprocessor, where planes are in memory: all of them together are to stay in the second cache


def launch(
    dev: CudaDevice, source: Path, name: str, norm: Normalization, arrays: list[GPUArray], *flags: int,
    planes: int, reaches: int,
) -> Launch:  # fmt: skip
    """A launch of a kernel on arrays (n, y, x, channel).

    planes: how many it needs. reaches: from the strip to the first stage, in window sizes less 1.
    """
    cases, height, width, channels = arrays[0].shape
    size = min(span(dev, channels), _WIDEST)
    cut = cuda_cut.cut(
        (height, width, channels), size, size * arrays[0].dtype.itemsize, planes, reaches * (norm.size - 1),
        cuda_cut.SHARED,
    )  # fmt: skip
    strips, groups = -(-height // cut.rows), -(-channels // (cut.spans * size))
    items = cases * strips * groups
    plane = cut.held * width * cut.spans * size
    blocks = items if cut.in_shared else min(items, _BLOCKS * dev.processors)
    workspace: Any = None if cut.in_shared else dev.workspace.reserve((blocks, planes, plane))
    geometry = (height, width, channels, norm.size, cut.rows, cut.spans, strips, groups, items)
    return dev.call(
        dev.kernel(source, name, **dev.act, SPAN=size, POWER=power_macro(norm)),
        (blocks,), rows_and_columns(cut.held, width * cut.spans)[1], *arrays, workspace, plane,
        np.array(geometry, np.int32).tobytes(), numbers(norm), *flags,
        shared=np.dtype(np.float32).itemsize * planes * plane if cut.in_shared else 0,
    )  # fmt: skip
