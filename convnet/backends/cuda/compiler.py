"""Kernels from source to machine code, kept on disk by the content of all that they are made of."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from convnet.backends.cuda import toolkit
from convnet.errors import ConvnetError

INCLUDE = Path(__file__).parent / "include"
FLAGS = ("-O3", "-std=c++17", "-lineinfo")


def compile_kernels(source: Path, defines: Mapping[str, int], capability: int) -> bytes:
    """The machine code (or PTX) of a .cu file for cards of a compute capability such as 90.

    defines: macros that choose among variants. It may be called from several threads at once.

    Raises:
        ConvnetError: if there is no compiler or the source is wrong, in the compiler's words with file and line.
    """
    nvcc = toolkit.require_nvcc()
    options = [*toolkit.target(nvcc, capability), *FLAGS, *(f"-D{name}={value}" for name, value in defines.items())]
    kept = _cache_folder() / f"{source.stem}-{_digest(source, options, toolkit.version(nvcc))}"
    if not kept.exists():
        _compile(nvcc, source, options, kept)
    return kept.read_bytes()


def _digest(source: Path, options: list[str], version: str) -> str:
    digest = hashlib.sha256(repr((options, version)).encode())
    for file in [source, *sorted(source.parent.glob("*.cuh")), *sorted(INCLUDE.glob("**/*.cuh"))]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:24]


def _cache_folder() -> Path:
    """Where machine code is kept; a temporary folder where no place can be written to."""
    folder = Path(platformdirs.user_cache_dir("convnet")) / "cuda"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="convnet-kernels-"))
    return folder if os.access(folder, os.W_OK | os.X_OK) else Path(tempfile.mkdtemp(prefix="convnet-kernels-"))


def _compile(nvcc: Path, source: Path, options: list[str], target: Path) -> None:
    """Compile aside, then rename: another process never reads half a file."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=source.stem)
    os.close(handle)
    done = subprocess.run(
        [nvcc, *options, f"-I{INCLUDE}", "-o", name, source], capture_output=True, text=True, check=False
    )
    if done.returncode:
        Path(name).unlink()
        raise ConvnetError(f"{source}: nvcc {' '.join(options)} failed:\n{done.stderr or done.stdout}")
    os.replace(name, target)
