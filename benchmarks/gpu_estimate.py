"""The time that follows from counts and from what a card can do at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpu_recorder import Gemm, KernelSource, Launched, Recorded
from gpu_resources import Resources

from convnet.ops.conv import ConvGeometry
from convnet.plan.work import flops_of

CONVOLUTIONS = ("conv.fprop", "conv.bprop_acts", "conv.bprop_weights")
_K_BYTES = 64  # along K in a step of the convolutions' kernels: K_STEP of <convnet/tile.cuh>

# Kernels that read and write through one pointer: their arguments that do, by place among the arrays.
_IN_PLACE = {"bias_neuron.packs": (0,), "bias_neuron.singles": (0,), "update.momentum": (1, 2), "update.bound": (0,)}


@dataclass(frozen=True)
class Card:
    """Published: multiprocessors, TFLOP/s by precision, TB/s of memory. Assumed: everything else.

    The shares say how much of the published figures is reached by mma.sync, by FMAs of own kernels, by cuBLAS, and by
    kernels that only move bytes. start: steps of K that take as long as starting a block of a convolution and storing
    its sums. least: microseconds that any launch takes.
    """

    processors: int = 132
    tflops: tuple[tuple[str, float], ...] = (("fp32", 67.0), ("tf32", 494.0), ("bf16", 989.0))
    tbytes: float = 3.35
    mma_share: float = 0.62
    fma_share: float = 0.8
    cublas_share: float = 0.7
    memory_share: float = 0.9
    start: int = 8
    least: float = 2.0

    def peak(self, precision: str) -> float:
        """FLOP in a microsecond, as published."""
        return dict(self.tflops)[precision] * 1e6

    @property
    def bytes(self) -> float:
        """Bytes of memory in a microsecond, as published."""
        return self.tbytes * 1e6


@dataclass(frozen=True)
class LaunchCount:
    """One launch, counted: bytes that it moves, blocks resident on a multiprocessor, waves, and expected time in us.

    resources, resident and waves are None for cuBLAS, whose kernels are not ours. of: the share of the multiply-adds
    its tiles make that are asked for, for convolutions.
    """

    launch: Launched | Gemm
    size: int
    us: float
    bound_by: str
    resources: Resources | None = None
    resident: int | None = None
    waves: float | None = None
    useful: float | None = None


@dataclass(frozen=True)
class StepCount:
    """One step, counted: operations of matrix products, bytes of its tensors, and the least time in us for them."""

    recorded: Recorded
    operations: int
    bound: float
    launches: tuple[LaunchCount, ...]

    @property
    def us(self) -> float:
        """The time expected, in us."""
        return sum(launch.us for launch in self.launches)

    @property
    def moved(self) -> int:
        """Bytes that all launches together move."""
        return sum(launch.size for launch in self.launches)


def count(
    recorded: Recorded, found: Mapping[KernelSource, Resources], card: Card, precision: str, cases: int
) -> StepCount:
    """Count a step of `cases` cases; `found`: what its kernels need."""
    flop = flops_of(recorded.step, cases)
    launches = []
    for launch in recorded.launches:
        if isinstance(launch, Gemm):
            launches.append(_of_cublas(launch, card, precision))
        else:
            launches.append(_of_kernel(launch, recorded, found[launch.kernel], card, precision, flop))
    bound = max(flop / card.peak(precision), recorded.size / card.bytes)
    return StepCount(recorded, flop, bound, tuple(launches))


def _of_cublas(gemm: Gemm, card: Card, precision: str) -> LaunchCount:
    return _timed(gemm, gemm.size, gemm.operations / (card.peak(precision) * card.cublas_share), card)


def _of_kernel(
    launch: Launched, recorded: Recorded, own: Resources, card: Card, precision: str, flop: int
) -> LaunchCount:
    resident = own.resident(launch.threads, launch.shared)
    waves = launch.blocks / (card.processors * resident)
    size, compute, useful = moved(launch, recorded.target), 0.0, None
    if launch.kernel.name == recorded.step.operation.removeprefix("conv."):
        steps, of_step = _tile_steps(launch, _geometry(recorded))
        useful = flop / (launch.blocks * steps * of_step)
        # Blocks of one multiprocessor share its rate, so that only whole rounds of all multiprocessors count.
        rounds = -(-launch.blocks // card.processors)
        share = card.fma_share if precision == "fp32" else card.mma_share
        compute = rounds * card.processors * (steps + card.start) * of_step / (card.peak(precision) * share)
    return _timed(launch, size, compute, card, resources=own, resident=resident, waves=waves, useful=useful)


def _tile_steps(launch: Launched, g: ConvGeometry) -> tuple[float, int]:
    """Steps of K that a block of a convolution takes, and the operations of one of them."""
    macros = dict(launch.kernel.defines)
    numbers = _K_BYTES // (2 if macros["ACT_BF16"] else 4)
    return k_steps(launch, g, numbers), 2 * macros["TILE_M"] * macros["TILE_N"] * numbers


def _timed(launch: Launched | Gemm, size: int, compute: float, card: Card, **more: object) -> LaunchCount:
    """With the largest of the times of computing, of moving and of launching."""
    times = {"operations": compute, "bytes": size / (card.bytes * card.memory_share), "launch": card.least}
    longest = max(times, key=lambda each: times[each])
    return LaunchCount(launch, size, times[longest], longest, **more)  # type: ignore[arg-type]


def moved(launch: Launched, target: int | None) -> int:
    """Bytes of the arrays of a launch: each once, and what is both read and written twice."""
    arrays = launch.arrays
    again = [arrays[place] for place in _IN_PLACE.get(str(launch.kernel), ())]
    again += [array for array in arrays if array.ptr == target]
    return sum(array.nbytes for array in (*arrays, *again))


def k_steps(launch: Launched, g: ConvGeometry, numbers: int) -> float:
    """Steps of K, of so many numbers, that a block of a convolution takes; the mean where blocks differ."""
    macros, name = dict(launch.kernel.defines), launch.kernel.name
    if name == "bprop_weights":
        own = next(argument for argument in launch.arguments if isinstance(argument, int))
        return float(own)
    vec = macros["VEC_A"]
    if name == "fprop":
        rows, run = g.filter_size**2, g.filter_channels
        if macros["LINES"]:
            rows, run = g.filter_size, g.filter_size * g.filter_channels
        return float(-(-rows * _up(run, vec) // numbers))
    filters = _up(g.filters // g.groups, vec)
    of_class = [-(-(g.filter_size - first) // g.stride) for first in range(g.stride)]
    classes = [-(-max(y, 0) * max(x, 0) * filters // numbers) for y in of_class for x in of_class]
    return sum(classes) / len(classes)


def _geometry(recorded: Recorded) -> ConvGeometry:
    step = recorded.step
    values = (*step.arguments, *step.parameters.values())
    return next(value for value in values if isinstance(value, ConvGeometry))


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
