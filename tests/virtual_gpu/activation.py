"""Makes this process, and those it starts, use the virtual GPU."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from functools import cache
from pathlib import Path

from tests.virtual_gpu.build import Unavailable, build

LIBRARIES = ("libcuda.so.1", "libcublasLt.so.13", "libcublas.so.13")
PACKAGES = {
    "pycuda": "PyCUDA: python tests/virtual_gpu/build_pycuda.py",
    "nvmath": "nvmath-python: pip install nvmath-python",
}


@cache
def start() -> Path:
    """Builds the virtual GPU where needed and loads it, before anything else loads a driver; returns its folder.

    Raises:
        Unavailable: if it cannot be had here; with the reason.
    """
    for package, name in PACKAGES.items():
        if importlib.util.find_spec(package) is None:
            raise Unavailable(f"the virtual GPU's tests need {name}")
    forbid_real_driver()
    folder = build()
    prepend("PATH", folder / "bin")
    prepend("LD_LIBRARY_PATH", folder / "lib")
    for library in LIBRARIES:
        # A library that is loaded already is found by its name alone, by PyCUDA and by NVIDIA's bindings.
        ctypes.CDLL(str(folder / "lib" / library), mode=ctypes.RTLD_GLOBAL)
    return folder


def forbid_real_driver() -> None:
    """Raises Unavailable if a real driver is loaded: two libraries of one name cannot be told apart."""
    loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libcuda.so" in line}
    if loaded:
        names = ", ".join(sorted(loaded))
        raise Unavailable(f"the virtual GPU cannot take the place of {names}, which is loaded already")


def prepend(variable: str, folder: Path) -> None:
    """Puts a folder before what an environment variable lists."""
    os.environ[variable] = os.pathsep.join([str(folder), *filter(None, [os.environ.get(variable)])])
