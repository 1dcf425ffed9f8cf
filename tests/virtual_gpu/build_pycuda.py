"""Builds PyCUDA and installs it into the running environment, on a machine that may have no driver.

PyCUDA is published as source only and links against libcuda, which comes with a driver. It is linked against a library
of that name instead, made from cuda.h, whose functions do nothing. The wheel then works with any libcuda, a real one
or the virtual GPU's. It is kept in the user's cache.

    python tests/virtual_gpu/build_pycuda.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import platformdirs

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.virtual_gpu.build import Unavailable, driver_names, find_header, find_toolchain, run, write_stubs

VERSION = "2026.1"
# PyCUDA includes cudaProfiler.h, which NVIDIA's header packages for Python lack.
PROFILER_NAMES = {"cuProfilerInitialize", "cuProfilerStart", "cuProfilerStop"}
PROFILER_HEADER = """#pragma once
#include <cuda.h>
typedef enum CUoutput_mode_enum { CU_OUT_KEY_VALUE_PAIR = 0, CU_OUT_CSV = 1 } CUoutput_mode;
#ifdef __cplusplus
extern "C" {
#endif
CUresult cuProfilerInitialize(const char* configuration, const char* output, CUoutput_mode mode);
CUresult cuProfilerStart(void);
CUresult cuProfilerStop(void);
#ifdef __cplusplus
}
#endif
"""


def main() -> None:
    """Installs the wheel; builds it first where it is not kept already."""
    folder = Path(platformdirs.user_cache_dir("convnet")) / "wheels" / sysconfig.get_config_var("SOABI")
    wheel = find_wheel(folder)
    if wheel is None:
        folder.mkdir(parents=True, exist_ok=True)
        build_wheel(folder)
        wheel = find_wheel(folder)
        assert wheel is not None
    pip("install", str(wheel))


def find_wheel(folder: Path) -> Path | None:
    """The wheel that was built before."""
    return next(iter(folder.glob(f"pycuda-{VERSION}-*.whl")), None)


def build_wheel(target: Path) -> None:
    """Builds the wheel aside and moves it into the folder."""
    tools = find_toolchain()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stubs(folder / "stub.c", driver_names(tools) | PROFILER_NAMES)
        run(tools.compiler, "-x", "c", "-w", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", folder / "stub.c",
            "-o", folder / "libcuda.so")  # fmt: skip
        cuda = gather_headers(folder, tools.cuda_include)
        # PyCUDA's setup reads its settings from the home folder.
        (folder / ".aksetup-defaults.py").write_text(
            f"CUDA_ROOT = {str(cuda)!r}\nCUDA_ENABLE_CURAND = False\nCUDADRV_LIB_DIR = [{name!r}]\n"
        )
        out = folder / "wheels"
        pip("wheel", "--no-deps", "--no-cache-dir", "-w", str(out), f"pycuda=={VERSION}", home=name)
        built = next(out.glob("pycuda-*.whl"))
        shutil.copy(built, target / f".{built.name}")
        os.replace(target / f".{built.name}", target / built.name)


def gather_headers(folder: Path, include: tuple[Path, ...]) -> Path:
    """A folder laid out as a toolkit's: PyCUDA knows of one place only, header wheels may be several."""
    root = folder / "cuda"
    for name in ("include", "bin", "lib64"):
        (root / name).mkdir(parents=True)
    (root / "bin" / "nvcc").touch()  # by which the setup knows a toolkit
    for place in reversed(include):
        for entry in place.iterdir():
            link = root / "include" / entry.name
            link.unlink(missing_ok=True)
            link.symlink_to(entry)
    if find_header("cudaProfiler.h", (root / "include",)) is None:
        (root / "include" / "cudaProfiler.h").write_text(PROFILER_HEADER)
    return root


def pip(*arguments: str, home: str | None = None) -> None:
    """Runs this environment's pip."""
    environment = {**os.environ, **({"HOME": home} if home else {})}
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True, env=environment)


if __name__ == "__main__":
    try:
        main()
    except Unavailable as error:
        sys.exit(str(error))
