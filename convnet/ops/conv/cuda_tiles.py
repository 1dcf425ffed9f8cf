"""The tiles that the implicit-GEMM kernels are compiled for, the macros that say so, and which tile suits a product."""

from __future__ import annotations

from dataclasses import dataclass

from convnet.backends.cuda.capabilities import ASYNC_COPY_CAPABILITY
from convnet.backends.cuda.device import CudaDevice

STEP = 64  # bytes along K that are loaded at once: K_STEP of <convnet/tile.cuh>
_SLAB, _SLAB_MORE = 16, 8  # rows, and numbers beyond a row's own: SLAB and SLAB_PITCH of <convnet/tile.cuh>
_SPOT = 16  # bytes: Spot of loaders.cuh
_LOADING = 16  # multiply-adds that take as long as loading one number from shared memory, in round figures


@dataclass(frozen=True)
class Tile:
    """What one block computes: m x n numbers, by warps_m x warps_n warps.

    blocks: how many share a multiprocessor; registers are limited so that they fit. stages: steps of K under way at
    once, so many that a block's shared memory stays below the 99 KB that all cards since compute capability 8.0 give.
    """

    m: int
    n: int
    warps_m: int
    warps_n: int
    blocks: int
    stages: int = 4

    def __str__(self) -> str:
        return f"{self.m}x{self.n}"

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return 32 * self.warps_m * self.warps_n

    @property
    def slabs(self) -> int:
        """Bytes in which the warps give out their sums, a slab of float32 to each."""
        return self.warps_m * self.warps_n * _SLAB * (self.n // self.warps_n + _SLAB_MORE) * 4

    @property
    def time(self) -> int:
        """What a step of K takes, relative to other tiles."""
        return self.m * self.n + _LOADING * (self.m + self.n)


FMA_TILES = (Tile(128, 128, 4, 2, 2), Tile(128, 96, 4, 1, 2), Tile(128, 64, 4, 1, 3), Tile(64, 64, 2, 2, 4))
MMA_TILES = (
    Tile(256, 128, 4, 2, 1, 3),
    Tile(128, 128, 2, 2, 2),
    Tile(128, 96, 2, 2, 2),
    Tile(128, 64, 2, 2, 3),
    Tile(64, 64, 2, 2, 4),
)


def tiles(dev: CudaDevice) -> tuple[Tile, ...]:
    """All tiles for the device's precision."""
    return FMA_TILES if dev.precision == "fp32" else MMA_TILES


@dataclass(frozen=True)
class GemmSize:
    """Matrix products of m x n numbers, `copies` of them. parts: whether K may be cut into parts to fill the card."""

    m: int
    n: int
    copies: int
    parts: bool = False

    def blocks(self, tile: Tile) -> int:
        """How many tiles there are."""
        return ceil_div(self.m, tile.m) * ceil_div(self.n, tile.n) * self.copies


def best(dev: CudaDevice, size: GemmSize) -> Tile:
    """The tile whose blocks take the shortest time, if each processor computes one after another."""

    def time(tile: Tile) -> float:
        rounds = size.blocks(tile) / dev.processors
        return tile.time * (rounds if size.parts else -(-rounds // 1))

    return min(tiles(dev), key=time)


@dataclass(frozen=True)
class Reading:
    """How many numbers copies take at once of each operand; `lines`: a filter is read by whole lines, see taps.cuh."""

    vec_a: int
    vec_b: int
    lines: bool = False


def defines(dev: CudaDevice, tile: Tile, reading: Reading) -> dict[str, int]:
    """The macros of a kernel's source."""
    return {
        **dev.act, "TENSOR_CORES": int(dev.precision != "fp32"), "TILE_M": tile.m, "TILE_N": tile.n,
        "WARPS_M": tile.warps_m, "WARPS_N": tile.warps_n, "BLOCKS": tile.blocks, "STAGES": _stages(dev, tile),
        "VEC_A": reading.vec_a, "VEC_B": reading.vec_b, "LINES": int(reading.lines),
    }  # fmt: skip


def shared(dev: CudaDevice, tile: Tile, a_inside: bool, b_inside: bool, spots: int) -> int:
    """Bytes of dynamic shared memory: `spots`, and behind them first the stages of both operands, then the slabs.

    Stages and slabs are as <convnet/tile.cuh> lays them out. a_inside, b_inside: whether K is contiguous in them.
    """
    size = dev.activations.itemsize
    stage = _operand(tile.m, a_inside, size) + _operand(tile.n, b_inside, size)
    return max(_stages(dev, tile) * stage, tile.slabs) + _SPOT * spots


def ceil_div(size: int, by: int) -> int:
    """Size / by, rounded up."""
    return -(-size // by)


def _stages(dev: CudaDevice, tile: Tile) -> int:
    """The tile's stages; two where copies are not asynchronous and more would only take memory."""
    return tile.stages if dev.capability >= ASYNC_COPY_CAPABILITY else 2


def _operand(outer: int, inside: bool, size: int) -> int:
    """Bytes of one operand of one step."""
    if inside:
        return outer * (STEP + 16)
    return STEP // size * (outer * size + (16 if size == 2 else 32))
