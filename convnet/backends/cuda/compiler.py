"""Kernels from source to machine code, kept on disk by the content of all that they are made of."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from convnet.backends.cuda import cache, toolkit
from convnet.errors import ConvnetError

INCLUDE = Path(__file__).parent / "include"
FLAGS = ("-O3", "-std=c++17", "-lineinfo")


def compile_kernels(source: Path, defines: Mapping[str, int], capability: int) -> bytes:
    """The machine code (or PTX) of a .cu file for cards of a compute capability such as 90.

    defines: macros that choose among variants. It may be called from several threads at once.

    Raises:
        ConvnetError: if there is no compiler, if the source is wrong (in the compiler's words with file and line), or
            if the result cannot be kept.
    """
    nvcc = toolkit.require_nvcc()
    options = [*toolkit.target(nvcc, capability), *FLAGS, *(f"-D{name}={value}" for name, value in defines.items())]
    made_of = [source, *sorted(source.parent.glob("*.cuh")), *headers()]
    kept = cache.folder() / f"{source.stem}-{cache.digest(repr((options, toolkit.version(nvcc))), made_of)}"
    try:
        if not kept.exists():
            _compile(nvcc, source, options, kept)
        return kept.read_bytes()
    except OSError as error:
        raise ConvnetError(f"{source}: its machine code cannot be kept: {error}") from None


def headers() -> list[Path]:
    """The files that kernels of all operations may include."""
    return sorted(INCLUDE.glob("**/*.cuh"))


def _compile(nvcc: Path, source: Path, options: list[str], target: Path) -> None:
    """Compile to `target`, in a session of the compiler's own: Ctrl-C is for the program, which may still need it."""
    with cache.written_aside(target) as aside:
        done = subprocess.run(
            [nvcc, *options, f"-I{INCLUDE}", "-o", aside, source],
            capture_output=True, text=True, check=False, start_new_session=True,
        )  # fmt: skip
        if done.returncode:
            raise ConvnetError(f"{source}: nvcc {' '.join(options)} failed:\n{done.stderr or done.stdout}")
