"""What every step of a training minibatch would launch on a GPU, told by the operations' own host code.

The net's plan is bound to a device that allocates no memory and notes launches instead of making them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from gpu_standin import GPUArray

from convnet.backends.cuda.cublas import Matrices
from convnet.backends.cuda.device import CudaDevice, Workspace
from convnet.graph.layer_graph import LayerGraph
from convnet.ops.dropout import Counter
from convnet.plan.bind import BoundPlan
from convnet.plan.build import build_plan, layouts
from convnet.plan.step import Step
from convnet.plan.work import added_to, traffic_of
from convnet.weights.schedule import Progress
from convnet.weights.store import WeightStore


@dataclass(frozen=True)
class KernelSource:
    """A kernel by its file, its name and the macros it is compiled with."""

    file: Path
    name: str
    defines: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return self.name if self.name == self.file.stem else f"{self.file.stem}.{self.name}"


@dataclass(frozen=True)
class Launched:
    """One launch of an own kernel. shared: bytes of dynamic shared memory. arguments: as the kernel takes them."""

    kernel: KernelSource
    grid: tuple[int, ...]
    block: tuple[int, ...]
    shared: int
    arguments: tuple[Any, ...]

    @property
    def blocks(self) -> int:
        """Blocks of the grid."""
        return math.prod(self.grid)

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return math.prod(self.block)

    @property
    def arrays(self) -> list[GPUArray]:
        """The arrays among the arguments."""
        return [argument for argument in self.arguments if isinstance(argument, GPUArray)]


@dataclass(frozen=True)
class Gemm:
    """Products of (m, k) and (k, n) by cuBLAS. size: bytes of all operands and results, once each."""

    m: int
    n: int
    k: int
    batch: int
    size: int

    @property
    def operations(self) -> int:
        """Additions and multiplications."""
        return 2 * self.m * self.n * self.k * self.batch


class RecordingDevice(CudaDevice):
    """A CUDA device with nothing behind it. launched: what was launched since it was last emptied."""

    def __init__(self, precision: str, processors: int, capability: int) -> None:
        self.index, self.precision, self.tune = 0, precision, False
        self.name, self.processors, self.capability = "counted", processors, capability
        self.activations = np.dtype(ml_dtypes.bfloat16 if precision == "bf16" else np.float32)
        self.workspace = Workspace(self)
        self.blas = RecordingBlas(self)
        self.launched: list[Launched | Gemm] = []
        self._end = 1 << 8

    def activate(self) -> None:
        """Nothing: there is no context."""

    def allocate(self, size: int) -> int:
        """An address that no other block covers."""
        begin, self._end = self._end, self._end + -(-max(size, 1) // 256) * 256
        return begin

    def upload(self, source: Any, target: GPUArray) -> None:
        """Nothing: there is no memory."""

    def kernel(self, source: Path, name: str, **defines: int) -> Any:
        """What would be compiled."""
        return KernelSource(source, name, tuple(sorted(defines.items())))

    def call(
        self, kernel: Any, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any, shared: int = 0
    ) -> Callable[[], None]:
        """A launch that is noted."""

        def launch() -> None:
            values = tuple(argument() if callable(argument) else argument for argument in arguments)
            self.launched.append(Launched(kernel, grid, block, shared, values))

        return launch


class RecordingBlas:
    """In the place of cuBLAS: notes products, in its Fortran order."""

    def __init__(self, dev: RecordingDevice) -> None:
        self._dev = dev

    def gemm(
        self, _ta: int, _tb: int, m: int, n: int, k: int, a: GPUArray, _lda: int, b: GPUArray, _ldb: int, c: GPUArray,
        _ldc: int, *, accumulate: bool,
    ) -> None:  # fmt: skip
        """One product."""
        self._note(m, n, k, (a, b, c), 1, accumulate)

    def gemm_strided_batched(
        self, _ta: int, _tb: int, m: int, n: int, k: int, a: Matrices, b: Matrices, c: Matrices,
        batch: int, *, accumulate: bool,
    ) -> None:  # fmt: skip
        """Products of one shape."""
        arrays = [each.first() if callable(each.first) else each.first for each in (a, b, c)]
        self._note(m, n, k, arrays, batch, accumulate)

    def _note(self, m: int, n: int, k: int, arrays: Any, batch: int, accumulate: bool) -> None:
        a, b, c = (array.dtype.itemsize for array in arrays)
        size = m * k * a + k * n * b + m * n * c * (2 if accumulate else 1)
        self._dev.launched.append(Gemm(n, m, k, batch, batch * size))


@dataclass
class Recorded:
    """A step of the plan and its launches. size: bytes that it must move: its tensors, once each; see `traffic_of`.

    target: the address of what the step adds to; None where it overwrites.
    """

    step: Step
    size: int
    target: int | None
    launches: list[Launched | Gemm] = field(default_factory=list)


def record(graph: LayerGraph, mini: int, precision: str, processors: int, capability: int) -> list[Recorded]:
    """The steps of a training minibatch of `mini` cases, in order, with all that they launch.

    Operations that know several ways take the one that they choose by rule, without timing any.
    """
    device = RecordingDevice(precision, processors, capability)
    where = layouts(graph)
    store = WeightStore(where, {0: device}, np.float32)
    bound = BoundPlan(
        build_plan(graph, where, mini=mini, seed=0, counter=Counter(0), types=store.types), store, {0: device}
    )
    store.set_rates(Progress(), mini)
    found = []
    for step, launch in bound.program(training=True, cases=mini):
        device.launched = []
        launch()
        size = traffic_of(step, bound.plan.types, mini)
        found.append(Recorded(step, size, _target(step, bound, mini), device.launched))
    return found


def _target(step: Step, bound: BoundPlan, cases: int) -> int | None:
    tensor = added_to(step)
    return bound.array(tensor, cases).ptr if tensor else None
