"""The counts of benchmarks/gpu_counts.py as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_estimate import Card, LaunchCount, StepCount
from gpu_recorder import Gemm

_HEAD = (
    "phase", "layer", "operation", "GFLOP", "MB", "kernel", "grid x block", "MB moved", "useful", "registers",
    "shared KB", "spilled B", "blocks (warps)", "waves", "us, least", "us, expected", "by",
)  # fmt: skip
_SUMS = (
    "precision", "GFLOP", "GB", "GB moved", "launches", "spilled B", "ms, least", "ms, expected", "convolutions",
    "cuBLAS", "update", "the rest",
)  # fmt: skip

_PAGE = """\
# What a training step of {net} should take on an H100: a count

**These are counts, not measurements.** No card was at hand. For every step of a training minibatch of {mini}, the
operations' own host code said what it would launch; nvcc said what the kernels need; the times follow from that and
from the ceilings below. `benchmarks/gpu.py` measures the same steps on a card. To count again, on a machine with nvcc:

```
{command}
```

Registers, shared memory and spills: {nvcc}, sm_90, the backend's own flags. Convolutions use the tile that they choose
by rule; on a card they are timed and the fastest is taken.

## Ceilings

Published (NVIDIA H100 Tensor Core GPU datasheet, SXM, without sparsity), with {card.processors} multiprocessors:

- {peaks};
- {card.tbytes:g} TB/s of memory.

What a multiprocessor holds: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability", 9.0.

Assumed, not measured:

- `mma.sync` reaches {card.mma_share:.0%} of the tensor cores' published rate, which only `wgmma` reaches whole;
- own kernels on FMAs reach {card.fma_share:.0%}, cuBLAS {card.cublas_share:.0%} of the published rate;
- {card.memory_share:.0%} of the published bandwidth is reached;
- starting a block of a convolution and storing its sums takes as long as {card.start} steps of K;
- no launch takes less than {card.least:g} us.

## How to read the tables

- GFLOP: twice the multiply-adds of matrix products. MB (10^6 bytes): each tensor of the step once, twice what is read
  and written.
- MB moved: each array of the launch once, with scratch memory and second passes. What a kernel reads again is taken to
  be found in its caches, and nothing that an earlier launch left there.
- useful: of the multiply-adds that a convolution's tiles make, the share that is asked for.
- blocks (warps): of the kernel on one multiprocessor at a time. waves: how often the grid fills the card.
- us, least: the larger of GFLOP and MB at the published rates. us, expected: of each launch the largest of its tiles'
  work in whole rounds of all multiprocessors, MB moved, and the least of a launch, at the assumed shares; by: which.

## Sums

"""


def markdown(net: str, mini: int, command: str, nvcc: str, card: Card, counts: dict[str, list[StepCount]]) -> str:
    """The page: what it is, the sums, and a table of all steps for each precision."""
    peaks = ", ".join(f"{tflops:g} TFLOP/s in {precision}" for precision, tflops in card.tflops)
    page = _PAGE.format(net=net, mini=mini, command=command, nvcc=nvcc, card=card, peaks=peaks)
    lines = _table(_SUMS, [_sum(precision, steps) for precision, steps in counts.items()])
    for precision, steps in counts.items():
        lines += ["", f"## {precision}", "", *_table(_HEAD, [row for step in steps for row in _rows(step)])]
    return page + "\n".join(lines) + "\n"


def _sum(precision: str, steps: list[StepCount]) -> list[str]:
    parts = dict.fromkeys(("convolutions", "cuBLAS", "update", "rest"), 0.0)
    for step in steps:
        for launch in step.launches:
            parts[_part(step, launch)] += launch.us
    launches = [launch for step in steps for launch in step.launches]
    spilled = sum(launch.resources.spilled for launch in launches if launch.resources)
    return [
        precision, f"{sum(step.operations for step in steps) / 1e9:.1f}",
        f"{sum(step.recorded.size for step in steps) / 1e9:.2f}", f"{sum(step.moved for step in steps) / 1e9:.2f}",
        str(len(launches)), str(spilled), f"{sum(step.bound for step in steps) / 1e3:.2f}",
        f"**{sum(step.us for step in steps) / 1e3:.2f}**", *(f"{part / 1e3:.2f}" for part in parts.values()),
    ]  # fmt: skip


def _part(step: StepCount, launch: LaunchCount) -> str:
    if isinstance(launch.launch, Gemm):
        return "cuBLAS"
    kind = step.recorded.step.operation.partition(".")[0]
    return {"conv": "convolutions", "update": "update"}.get(kind, "rest")


def _rows(step: StepCount) -> list[list[str]]:
    """A row for each launch; what concerns the whole step stands in the first one."""
    told = step.recorded.step
    of_step = [told.phase, told.layer, told.operation, _or_blank(step.operations / 1e9, ".2f"),
               f"{step.recorded.size / 1e6:.2f}"]  # fmt: skip
    rows = []
    for number, launch in enumerate(step.launches):
        first = number == 0
        rows.append([
            *(of_step if first else [""] * len(of_step)), *_launch(launch), f"{step.bound:.1f}" if first else "",
            f"{launch.us:.1f}", launch.bound_by,
        ])  # fmt: skip
    return rows


def _launch(count: LaunchCount) -> list[str]:
    launch, size = count.launch, f"{count.size / 1e6:.2f}"
    if isinstance(launch, Gemm):
        many = f"{launch.batch} x " if launch.batch > 1 else ""
        return ["cuBLAS", f"{many}m={launch.m} n={launch.n} k={launch.k}", size, *[""] * 6]
    own, tile = count.resources, dict(launch.kernel.defines)
    assert own is not None
    assert count.resident is not None
    name = str(launch.kernel)
    if "TILE_M" in tile and launch.kernel.name != "sum_parts":
        name += f" {tile['TILE_M']}x{tile['TILE_N']}"
    shape = "x".join(str(side) for side in launch.block if side > 1)
    return [
        name, f"{'x'.join(map(str, launch.grid))} x ({shape})", size,
        f"{count.useful:.0%}" if count.useful else "", str(own.registers),
        _or_blank((own.static_shared + launch.shared) / 1024, ".1f"), str(own.spilled),
        f"{count.resident} ({count.resident * -(-launch.threads // 32)})", f"{count.waves:.2f}",
    ]  # fmt: skip


def _or_blank(value: float, form: str) -> str:
    return f"{value:{form}}" if value else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
