"""What there is of all that the CUDA backend needs, what is missing, and how to mend it.

Everything here works where none of it is there: packages are imported only when they are asked about.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from convnet.backends.cuda import toolkit
from convnet.backends.cuda.capabilities import TENSOR_CORE_CAPABILITY
from convnet.backends.cuda.driver import Driver, find_driver, update_driver
from convnet.errors import ConvnetError

MEND_PACKAGES = 'pip install -e ".[cuda]"'  # in a checkout of this project
MEND_COMPILER = "sudo apt install g++, or the like of it on your system"


@dataclass(frozen=True)
class Part:
    """One of the things that the backend is made of. `mend`: the command, or the place, that solves the problem."""

    name: str
    version: str | None = None
    path: str | None = None
    problem: str | None = None
    mend: str | None = None


@dataclass(frozen=True)
class Gpu:
    """A GPU. device: as --device takes it. memory, free: bytes, `free` None if the GPU does not tell. notes: limits."""

    device: str
    name: str
    memory: int
    free: int | None
    capability: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Inventory:
    """The GPUs that can be used, and the parts of the backend, those that are missing among them."""

    gpus: list[Gpu]
    parts: list[Part]


def take_inventory() -> Inventory:
    """Look at everything; nothing that is missing or broken raises."""
    driver = find_driver()
    nvcc, pycuda = _nvcc(driver), _pycuda(driver)
    gpus = _gpus(Path(nvcc.path) if nvcc.path and not nvcc.problem else None) if not pycuda.problem else []
    parts = [
        Part("driver", driver.version, None, driver.problem, driver.mend),
        nvcc,
        _compiler(),
        pycuda,
        _package("nvmath-python", "nvmath.bindings.cublas"),
        _cublas(driver),
        _package("ml_dtypes", "ml_dtypes"),
    ]
    return Inventory(gpus, parts)


def _nvcc(driver: Driver) -> Part:
    found = toolkit.find_nvcc()
    if found is None:
        return Part("nvcc", problem="not found", mend=toolkit.MEND_NVCC)
    part = Part("nvcc", path=str(found))
    try:
        release = re.search(r"release (\d+)\.(\d+)", toolkit.version(found))
        toolkit.architectures(found)
    except ConvnetError as error:
        return replace(part, problem=str(error), mend=toolkit.MEND_NVCC)
    if release is None:
        return part
    part = replace(part, version=".".join(release.groups()))
    if driver.cuda is not None and int(release[1]) > driver.cuda[0]:
        problem = f"the driver may refuse its kernels: it knows CUDA {driver.cuda[0]}.{driver.cuda[1]}"
        return replace(part, problem=problem, mend=update_driver())
    return part


def _compiler() -> Part:
    """The C++ compiler that nvcc calls."""
    name = os.environ.get("NVCC_CCBIN", "g++")
    found = shutil.which(name)
    problem = None if found else f"{name} not found; nvcc needs it"
    return Part("C++ compiler", path=found, problem=problem, mend=None if found else MEND_COMPILER)


def _pycuda(driver: Driver) -> Part:
    part = _package("PyCUDA", "pycuda.driver")
    problem = part.problem or ""
    if not driver.loaded and "libcuda" in problem:
        return replace(part, problem="waits for the driver", mend=None)
    if "undefined symbol" in problem:  # it was built for a newer driver, which has functions that this one lacks
        return replace(part, mend=update_driver())
    return part


def _package(name: str, module: str) -> Part:
    """A Python package, with what importing it says."""
    try:
        part = Part(name, version(name))
    except PackageNotFoundError:
        part = Part(name)
    try:
        import_module(module)
    except ImportError as error:
        return replace(part, problem=str(error), mend=MEND_PACKAGES)
    return part


def _cublas(driver: Driver) -> Part:
    part = Part("cuBLAS")
    try:
        pathfinder = import_module("cuda.pathfinder")
        from nvmath.bindings import cublas
    except ImportError:
        return replace(part, problem="waits for nvmath-python, by which it is found and called")
    try:
        part = replace(part, path=pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
        # cublasGetProperty: 0, 1 and 2 are the numbers of a version. Without a driver nvmath calls nothing.
        numbers = [cublas.get_property(number) for number in range(3)] if driver.loaded else []
    except (RuntimeError, cublas.cuBLASError) as error:
        problem = "not found" if isinstance(error, pathfinder.DynamicLibNotFoundError) else _line(error)
        old = driver.cuda is not None and driver.cuda[0] <= 12
        return replace(part, problem=problem, mend=f"pip install nvidia-cublas{'-cu12' if old else ''}")
    return replace(part, version=".".join(map(str, numbers)) or None)


def _gpus(nvcc: Path | None) -> list[Gpu]:
    """The GPUs that PyCUDA finds; the driver's own part tells why there are none."""
    import pycuda.driver as cuda

    try:
        cuda.init()
        return [_gpu(cuda, index, nvcc) for index in range(cuda.Device.count())]
    except cuda.Error:
        return []


def _gpu(cuda: Any, index: int, nvcc: Path | None) -> Gpu:
    gpu = cuda.Device(index)
    major, minor = gpu.compute_capability()
    free, problems = _free_memory(cuda, gpu)
    notes = (*problems, *_limits(10 * major + minor, nvcc))
    return Gpu(f"cuda:{index}", gpu.name(), gpu.total_memory(), free, f"{major}.{minor}", notes)


def _free_memory(cuda: Any, gpu: Any) -> tuple[int | None, list[str]]:
    """Bytes free, or None and why the GPU does not tell: another process may have it for itself."""
    try:
        context = gpu.retain_primary_context()
        context.push()
        try:
            return int(cuda.mem_get_info()[0]), []
        finally:
            context.pop()
            context.detach()  # PyCUDA's destructor would call cuCtxDetach, which is not for primary contexts
    except cuda.Error as error:
        return None, [f"cannot be used: {_line(error)}"]


def _limits(capability: int, nvcc: Path | None) -> list[str]:
    """What cannot be done on a GPU of this compute capability, or only with this compiler."""
    notes = []
    if capability < TENSOR_CORE_CAPABILITY:
        notes.append(f"--precision tf32 and bf16 need compute capability {TENSOR_CORE_CAPABILITY / 10}")
    if nvcc is not None and capability not in toolkit.architectures(nvcc):
        try:
            _, target = toolkit.target(nvcc, capability)
            made = target.removeprefix("-arch=")
            notes.append(f"nvcc does not know this GPU: it makes {made}, which the driver translates when a run begins")
        except ConvnetError as error:
            notes.append(str(error))
    return notes


def _line(error: Exception) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())
