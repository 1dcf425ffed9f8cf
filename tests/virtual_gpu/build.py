"""Builds the virtual GPU: the look-alikes of libcuda, cuBLAS and nvcc, in a folder named by what they are made of."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import site
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import platformdirs

HERE = Path(__file__).parent
CPP_FLAGS = ("-std=c++20", "-O2", "-fPIC", "-w")
# Device code: casts between types of vectors are usual, several modules may hold a function of one name, and nothing
# throws. Misaligned accesses trap. nvcc fuses products into sums where the processor can, and so does g++.
KERNEL_FLAGS = (*CPP_FLAGS, "-fno-strict-aliasing", "-fno-gnu-unique", "-fno-exceptions", "-fno-rtti",
                "-fsanitize=alignment", "-fsanitize-undefined-trap-on-error")  # fmt: skip
KERNEL_LINK = ("-nostartfiles", "-Wl,-Bsymbolic")
HOMES = ("/usr/local/cuda",)
HEADERS = ("cuda.h", "cuda_bf16.h", "cuda_fp16.h", "vector_types.h", "nv/target")
HEADER_WHEELS = "pip install nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-cccl"


class Unavailable(Exception):
    """The virtual GPU cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Toolchain:
    """What the virtual GPU is built with."""

    compiler: str
    cuda_include: tuple[Path, ...]
    processor_flags: tuple[str, ...]

    def describe(self) -> str:
        """A text that changes when the result of a build might."""
        version = subprocess.run([self.compiler, "--version"], capture_output=True, text=True, check=True).stdout
        header = (find_header("cuda.h", self.cuda_include) or Path(os.devnull)).read_bytes()
        return repr((version, self, hashlib.sha256(header).hexdigest()))


def build() -> Path:
    """Builds what is not built yet; returns the folder with bin/, lib/ and include/.

    Raises:
        Unavailable: if something is missing that it takes.
    """
    tools = find_toolchain()
    digest = hashlib.sha256(tools.describe().encode() + sources()).hexdigest()[:16]
    folder = Path(platformdirs.user_cache_dir("convnet")) / f"virtual-gpu-{digest}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Aside, then renamed: others may build at the same time, and never see half of it.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="virtual-gpu-build-") as aside:
            build_in(Path(aside), tools, digest)
            try:
                os.rename(aside, folder)
            except OSError:
                if not folder.exists():
                    raise
            else:
                os.mkdir(aside)  # for the temporary directory to remove
    return folder


def find_toolchain() -> Toolchain:
    """The compiler and CUDA's headers.

    Raises:
        Unavailable: if one of them is missing.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Unavailable("the virtual GPU is written for Linux on x86-64")
    compiler = os.environ.get("CXX") or shutil.which("g++")
    if compiler is None:
        raise Unavailable("the virtual GPU needs a C++ compiler: g++ was not found")
    folders = tuple(folder for folder in include_folders() if any((folder / name).exists() for name in HEADERS))
    missing = [name for name in HEADERS if find_header(name, folders) is None]
    if missing:
        raise Unavailable(f"the virtual GPU needs CUDA's headers, {', '.join(missing)} was not found; {HEADER_WHEELS}")
    return Toolchain(compiler, folders, processor_flags())


def include_folders() -> list[Path]:
    """Where CUDA's headers may be: a toolkit's, or those of NVIDIA's Python packages."""
    for home in (os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), *HOMES):
        if home is not None and (Path(home) / "include" / "cuda.h").exists():
            return [Path(home) / "include", Path(home) / "include" / "cccl"]
    packages = [Path(folder) for folder in (*site.getsitepackages(), site.getusersitepackages())]
    found = [include for folder in packages for include in sorted(folder.glob("nvidia/*/include"))]
    return [place for include in found for place in (include, include / "cccl")]


def find_header(name: str, folders: tuple[Path, ...]) -> Path | None:
    """The header of this name."""
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def processor_flags() -> tuple[str, ...]:
    """Flags for the vector instructions of this machine, if it has the usual ones."""
    words = set(Path("/proc/cpuinfo").read_text().split())
    return ("-march=x86-64-v3",) if {"avx2", "fma", "bmi2", "movbe", "f16c"} <= words else ()


def sources() -> bytes:
    """The content of all files that the virtual GPU is made of."""
    files = [HERE / "nvcc.py", HERE / "build.py"]
    for name in ("driver", "include", "blas"):
        files += sorted(file for file in (HERE / name).rglob("*") if file.is_file())
    return b"".join(str(file.relative_to(HERE)).encode() + file.read_bytes() for file in files)


def build_in(folder: Path, tools: Toolchain, digest: str) -> None:
    """Builds everything in an empty folder."""
    for name in ("bin", "lib", "work"):
        (folder / name).mkdir()
    shutil.copytree(HERE / "include", folder / "include")
    shutil.copy(HERE / "nvcc.py", folder / "bin" / "nvcc")
    (folder / "bin" / "nvcc").chmod(0o755)
    write_settings(folder, tools, digest)
    with ThreadPoolExecutor(2) as pool:
        header = pool.submit(precompile_header, folder, tools)
        build_driver(folder, tools, pool)
        header.result()
    build_blas(folder, tools)
    shutil.rmtree(folder / "work")


def write_settings(folder: Path, tools: Toolchain, digest: str) -> None:
    """What the nvcc look-alike reads."""
    settings = {
        "compiler": tools.compiler,
        "flags": [*KERNEL_FLAGS, *tools.processor_flags],
        "link": KERNEL_LINK,
        "cuda_include": [str(include) for include in tools.cuda_include],
        "digest": digest,
    }
    (folder / "toolchain.json").write_text(json.dumps(settings, indent=1))


def includes(folder: Path, tools: Toolchain) -> list[str]:
    """The compiler's options for where headers are."""
    return [f"-I{place}" for place in (folder / "include", *tools.cuda_include, folder / "work")]


def precompile_header(folder: Path, tools: Toolchain) -> None:
    """What every kernel file begins with, compiled once: it saves a second or two for each of them."""
    header = folder / "include" / "virtual_gpu" / "device.h"
    run(tools.compiler, *KERNEL_FLAGS, *tools.processor_flags, *includes(folder, tools), "-x", "c++-header", header,
        "-o", f"{header}.gch")  # fmt: skip


def build_driver(folder: Path, tools: Toolchain, pool: ThreadPoolExecutor) -> None:
    """libcuda.so.1: what is written, and a stub for every other name in cuda.h."""
    work = folder / "work"
    write_error_names(work / "error_names.inc", tools)
    flags = [*CPP_FLAGS, *tools.processor_flags, *includes(folder, tools)]
    files = sorted((HERE / "driver").glob("*.cpp"))
    objects = [work / f"{file.stem}.o" for file in files]
    list(pool.map(lambda file, target: run(tools.compiler, *flags, "-c", file, "-o", target), files, objects))
    write_stubs(work / "stubs.c", driver_names(tools) - defined_names(objects))
    run(tools.compiler, "-w", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", *objects, "-x", "c", work / "stubs.c",
        "-x", "none", "-ldl", "-o", folder / "lib" / "libcuda.so.1")  # fmt: skip


def write_error_names(target: Path, tools: Toolchain) -> None:
    """The table of CUDA's errors, from cuda.h."""
    header = find_header("cuda.h", tools.cuda_include)
    assert header is not None
    names = re.findall(r"^\s*(CUDA_(?:SUCCESS|ERROR_\w+))\s*=", header.read_text(), flags=re.MULTILINE)
    target.write_text("".join(f'{{{name}, "{name}"}},\n' for name in names))


def driver_names(tools: Toolchain) -> set[str]:
    """The names of all functions that cuda.h declares."""
    folders = [f"-I{folder}" for folder in tools.cuda_include]
    declarations = run(tools.compiler, "-E", "-P", "-x", "c", *folders, "-",
                       stdin="#include <cuda.h>\n")  # fmt: skip
    return set(re.findall(r"\b(cu[A-Z]\w*)\s*\(", declarations))


def defined_names(objects: list[Path]) -> set[str]:
    """The names of functions in object files."""
    return set(re.findall(r" T (\w+)", run("nm", *objects)))


def write_stubs(target: Path, names: set[str]) -> None:
    """A C file with functions of these names that answer CUDA_ERROR_NOT_SUPPORTED."""
    target.write_text("".join(f"int {name}(void) {{ return 801; }}\n" for name in sorted(names)))


def build_blas(folder: Path, tools: Toolchain) -> None:
    """libcublas.so.13, and an empty libcublasLt.so.13 that its users load before it."""
    flags = [*CPP_FLAGS, "-O3", *tools.processor_flags, *includes(folder, tools), "-shared"]
    driver = [f"-L{folder / 'lib'}", "-l:libcuda.so.1"]
    for name in ("libcublas", "libcublasLt"):
        soname = f"{name}.so.13"
        files = sorted((HERE / "blas" / name).glob("*.cpp"))
        if files:
            run(tools.compiler, *flags, f"-Wl,-soname,{soname}", *files, *driver, "-o", folder / "lib" / soname)


def run(*command: str | Path, stdin: str | None = None) -> str:
    """Runs a command; returns what it printed.

    Raises:
        RuntimeError: if it failed, with its messages.
    """
    done = subprocess.run([str(word) for word in command], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"building the virtual GPU failed: {' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    try:
        print(build())
    except Unavailable as error:
        sys.exit(str(error))
