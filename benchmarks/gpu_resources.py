"""What nvcc reports of kernels (registers, shared memory, spills), and how many blocks a multiprocessor then holds."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gpu_recorder import KernelSource

from convnet.backends.cuda import cache, toolkit
from convnet.backends.cuda.compiler import FLAGS, INCLUDE, headers
from convnet.errors import ConvnetError

PROCESSES = 2

# Of a multiprocessor of compute capability 9.0; CUDA C++ Programming Guide, "Technical Specifications per Compute
# Capability". Registers are given out in warps' shares of 256, to the warps of each of its four parts.
_REGISTERS, _PARTS, _REGISTER_UNIT = 64 << 10, 4, 256
_WARPS, _BLOCKS = 64, 32
_SHARED, _SHARED_OF_SYSTEM, _SHARED_UNIT = 228 << 10, 1 << 10, 128

_ENTRY = re.compile(
    r"Compiling entry function '(\w+)'.*?"
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?"
    r"Used (\d+) registers([^\n]*)",
    re.DOTALL,
)
_STATIC = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class Resources:
    """Of one kernel: registers of a thread, bytes of static shared memory, bytes on the stack, of them spilled."""

    registers: int
    static_shared: int
    stack: int
    spilled: int

    def resident(self, threads: int, dynamic_shared: int) -> int:
        """How many blocks of so many threads and so much dynamic shared memory a multiprocessor holds."""
        warps = -(-threads // 32)
        of_warp = _up(32 * self.registers, _REGISTER_UNIT)
        by_registers = _REGISTERS // _PARTS // of_warp * _PARTS // warps
        shared = _up(self.static_shared + dynamic_shared, _SHARED_UNIT) + _SHARED_OF_SYSTEM
        return min(_BLOCKS, _WARPS // warps, by_registers, _SHARED // shared)


def resources(kernels: Iterable[KernelSource], capability: int) -> dict[KernelSource, Resources]:
    """Of each kernel, compiled with the flags that the backend compiles with.

    Raises:
        ConvnetError: if there is no nvcc, or it refuses a kernel.
    """
    kernels = list(kernels)
    sources = list(dict.fromkeys((kernel.file, kernel.defines) for kernel in kernels))
    with ThreadPoolExecutor(PROCESSES) as pool:
        reports = dict(zip(sources, pool.map(lambda each: _report(each[0], each[1], capability), sources), strict=True))
    return {kernel: parse(reports[kernel.file, kernel.defines])[kernel.name] for kernel in kernels}


def parse(report: str) -> dict[str, Resources]:
    """The resources of each kernel in what ptxas prints."""
    found = {}
    for name, stack, stores, loads, registers, rest in _ENTRY.findall(report):
        static = _STATIC.search(rest)
        found[name] = Resources(
            int(registers), int(static[1]) if static else 0, int(stack), max(int(stores), int(loads))
        )
    return found


def _report(source: Path, defines: tuple[tuple[str, int], ...], capability: int) -> str:
    """What ptxas prints of a file; kept in the cache by the content of all that goes into it."""
    nvcc = toolkit.require_nvcc()
    options = [f"-arch=sm_{capability}", *FLAGS, *(f"-D{name}={value}" for name, value in defines), "-Xptxas", "-v"]
    made_of = [source, *sorted(source.parent.glob("*.cuh")), *headers()]
    kept = cache.folder() / f"{source.stem}-{cache.digest(repr((options, toolkit.version(nvcc))), made_of)}.txt"
    if not kept.exists():
        with cache.written_aside(kept) as aside:
            aside.write_text(_compile(nvcc, source, options))
    return kept.read_text()


def _compile(nvcc: Path, source: Path, options: list[str]) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as code:
        done = subprocess.run(
            [nvcc, "-cubin", *options, f"-I{INCLUDE}", "-o", code.name, source],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise ConvnetError(f"{source}: nvcc {' '.join(options)} failed:\n{done.stderr or done.stdout}")
    return done.stderr + done.stdout


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
