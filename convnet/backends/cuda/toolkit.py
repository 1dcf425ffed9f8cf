"""Where CUDA's compiler is, and what it can do."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
from functools import cache
from pathlib import Path

from convnet.errors import ConvnetError

MEND_NVCC = "pip install nvidia-cuda-nvcc nvidia-cuda-crt nvidia-cuda-runtime nvidia-cuda-cccl"


def find_nvcc() -> Path | None:
    """The CUDA compiler: on the PATH, in $CUDA_HOME, in /usr/local/cuda, or among the installed Python packages."""
    on_path = shutil.which("nvcc")
    homes = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if name in os.environ]
    packages = [found for folder in site.getsitepackages() for found in sorted(Path(folder).glob("nvidia/*/bin/nvcc"))]
    places = [*([Path(on_path)] if on_path else []), *(home / "bin" / "nvcc" for home in homes),
              Path("/usr/local/cuda/bin/nvcc"), *packages]  # fmt: skip
    return next((place for place in places if os.access(place, os.X_OK)), None)


def require_nvcc() -> Path:
    """The CUDA compiler.

    Raises:
        ConvnetError: if there is none.
    """
    nvcc = find_nvcc()
    if nvcc is None:
        raise ConvnetError(f"kernels need CUDA's compiler, nvcc, which was not found; install it with: {MEND_NVCC}")
    return nvcc


@cache
def version(nvcc: Path) -> str:
    """What `nvcc --version` prints."""
    return _ask(nvcc, "--version")


@cache
def architectures(nvcc: Path) -> tuple[int, ...]:
    """The compute capabilities it compiles for, as numbers such as 90."""
    words = _ask(nvcc, "--list-gpu-code").split()
    numbers = (word.removeprefix("sm_") for word in words if word.startswith("sm_"))
    return tuple(sorted(int(number) for number in numbers if number.isdigit()))


def target(nvcc: Path, capability: int) -> tuple[str, str]:
    """nvcc's option for what to make, and for which architecture, for a card of this compute capability.

    Machine code where the compiler knows the card, otherwise PTX of the newest card before it, which drivers translate.

    Raises:
        ConvnetError: if the card is older than all that the compiler knows.
    """
    known = architectures(nvcc)
    if capability in known:
        return "-cubin", f"-arch=sm_{capability}"
    older = [number for number in known if number < capability]
    if not older:
        raise ConvnetError(
            f"{nvcc} compiles for compute capability {known[0] / 10} and above, the GPU has {capability / 10}"
        )
    return "-ptx", f"-arch=compute_{older[-1]}"


def _ask(nvcc: Path, option: str) -> str:
    """What nvcc prints.

    Raises:
        ConvnetError: if it does not run.
    """
    try:
        return subprocess.run([nvcc, option], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConvnetError(f"{nvcc} does not run: {error}") from None
