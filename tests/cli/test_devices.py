"""convnet devices: what it shows with GPUs, with none, and with any part of what they need missing or broken."""

import ctypes
import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from convnet.backends.cpu.device import available_cores
from convnet.backends.cuda import driver, inventory, toolkit
from tests.conftest import ROOT

from .conftest import LAYERS, PARAMS, convnet

PARTS = ["driver", "nvcc", "C++ compiler", "PyCUDA", "nvmath-python", "cuBLAS", "ml_dtypes"]
PACKAGES = ("pycuda", "pycuda.driver", "nvmath", "nvmath.bindings", "nvmath.bindings.cublas", "cuda.pathfinder",
            "ml_dtypes")  # fmt: skip
START = """
import sys
from tests import virtual_gpu
try:
    virtual_gpu.start()
except virtual_gpu.Unavailable as error:
    sys.exit(f"unavailable: {error}")
from convnet_cli import main
main(sys.argv[1:], prog_name="convnet")
"""


def on_virtual_gpus(*arguments, code=0, devices=2, **variables):
    """Run a command in a process of its own that has virtual GPUs, as the variables say."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VIRTUAL_GPU_DEVICES": str(devices)}
    environment |= {f"VIRTUAL_GPU_{name.upper()}": str(value) for name, value in variables.items()}
    result = subprocess.run(
        [sys.executable, "-c", START, *map(str, arguments)], capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip
    if result.stderr.startswith("unavailable: "):
        pytest.skip(result.stderr.strip())
    assert result.returncode == code, result.stderr
    return result


def shown():
    """What the command says in JSON: the devices, and the parts by name."""
    found = json.loads(convnet("devices", "--json").stdout)
    return found, {part["name"]: part for part in found["parts"]}


@pytest.fixture
def nothing(monkeypatch):
    """A machine without a driver, a compiler or any of the packages."""

    def missing(name, *_arguments):
        raise OSError(f"{name}: cannot open shared object file")

    def unknown(name):
        raise PackageNotFoundError(name)

    for module in PACKAGES:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(driver, "CDLL", missing)
    monkeypatch.setattr(inventory, "version", unknown)
    monkeypatch.setattr(toolkit, "find_nvcc", lambda: None)
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def library(monkeypatch):
    """A driver of CUDA 12.4 for whose start a number can be set."""

    def describe(code, text):
        ctypes.cast(text, ctypes.POINTER(ctypes.c_char_p))[0] = b"what went wrong"
        return 0

    def version(number):
        ctypes.cast(number, ctypes.POINTER(ctypes.c_int))[0] = 12040
        return 0

    found = SimpleNamespace(code=0, cuDriverGetVersion=version, cuGetErrorString=describe)
    found.cuInit = lambda flags: found.code
    monkeypatch.setattr(driver, "CDLL", lambda name: found)
    return found


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A function that makes nvcc a script which names a release and architectures, or fails."""

    def make(release="12.0", architectures=(75, 90), code=0):
        script = tmp_path / "nvcc"
        codes = " ".join(f"sm_{number}" for number in architectures)
        text = f'[ "$1" = --version ] && echo "tools, release {release}, V{release}.88" || echo {codes}'
        script.write_text(f"#!/bin/sh\n{text}\nexit {code}\n")
        script.chmod(0o755)
        monkeypatch.setattr(toolkit, "find_nvcc", lambda: script)
        return script

    return make


@pytest.fixture
def gpus(monkeypatch):
    """PyCUDA with one GPU of compute capability 7.5; its attributes can be set."""
    found = ModuleType("pycuda.driver")
    found.Error = type("Error", (Exception,), {})
    found.capability, found.in_use, found.depth, found.held = (7, 5), False, 0, 0

    class Device:
        count = staticmethod(lambda: 1)
        name, total_memory = (lambda self: "A GPU"), (lambda self: 8 * 10**9)

        def __init__(self, index):
            pass

        def compute_capability(self):
            return found.capability

        def retain_primary_context(self):
            if found.in_use:
                raise found.Error("cuDevicePrimaryCtxRetain failed:\nexclusive-process")
            found.held += 1
            return SimpleNamespace(push=lambda: change(1), pop=lambda: change(-1), detach=release)

    def change(by):
        found.depth += by

    def release():
        found.held -= 1

    def free():
        assert found.depth == 1
        return 6 * 10**9, 8 * 10**9

    found.Device, found.init, found.mem_get_info = Device, lambda: None, free
    package = ModuleType("pycuda")
    package.driver = found
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", found)
    return found


def test_with_nothing_there(nothing):
    found, parts = shown()
    assert found["auto"] == "cpu"
    assert found["cpu"] == {"device": "cpu", "cores": available_cores()}
    assert found["gpus"] == []
    assert list(parts) == PARTS
    assert all(part["problem"] and not part["version"] for part in parts.values())
    assert all(part["mend"] for name, part in parts.items() if name != "cuBLAS"), "the command that mends it"
    assert parts["cuBLAS"]["problem"] == "waits for nvmath-python, by which it is found and called"
    assert parts["nvcc"]["mend"] == toolkit.MEND_NVCC
    assert {parts[name]["mend"] for name in ("PyCUDA", "nvmath-python", "ml_dtypes")} == {'pip install -e ".[cuda]"'}


def test_with_nothing_there_in_words(nothing):
    lines = convnet("devices").stdout.splitlines()
    assert lines[0].split() == ["cpu", str(available_cores()), "cores"]
    for name in PARTS:
        (line,) = (number for number, line in enumerate(lines) if line.startswith(name))
        assert lines[line][14:].startswith("missing: ")
        assert name == "cuBLAS" or lines[line + 1].strip().startswith("to mend it: ")
    assert lines[-1] == "--device auto takes cpu"


def test_on_this_machine_as_it_is():
    """Whatever is there: no exception, and something to do for each problem that does not wait for another."""
    found, parts = shown()
    assert found["auto"] in ("cpu", "cuda:0")
    assert all(part["mend"] for part in parts.values() if part["problem"] and "waits" not in part["problem"])


@pytest.mark.parametrize(
    ("code", "visible", "mend"),
    [(100, None, "nvidia-smi"), (100, "7", "unset CUDA_VISIBLE_DEVICES"), (803, None, "sudo reboot"),
     (999, "7", "nvidia-smi")],
)  # fmt: skip
def test_a_driver_that_does_not_start(library, monkeypatch, code, visible, mend):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    library.code = code
    part = shown()[1]["driver"]
    assert "CUDA 12.4" in part["version"]
    assert part["problem"] == f"what went wrong (error {code})"
    assert part["mend"].startswith(mend)


@pytest.mark.parametrize("kind", ["Open Kernel Module for x86_64", "x86_64 Kernel Module"])
def test_the_drivers_own_number(library, monkeypatch, tmp_path, kind):
    module = tmp_path / "version"
    module.write_text(f"NVRM version: NVIDIA UNIX {kind}  580.65.06  Release Build\nGCC version: gcc 12.2.0\n")
    monkeypatch.setattr(driver, "_KERNEL_MODULE", module)
    part = shown()[1]["driver"]
    assert (part["version"], part["problem"]) == ("580.65.06, CUDA 12.4", None)


def test_where_drivers_come_from(nothing, monkeypatch, tmp_path):
    tool = tmp_path / "ubuntu-drivers"
    tool.touch(0o755)
    assert "www.nvidia.com" in driver.update_driver()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver.update_driver() == "sudo ubuntu-drivers install"


@pytest.mark.parametrize(
    ("error", "loaded", "problem", "mend"),
    [
        (ImportError("libcuda.so.1: cannot open"), False, "waits for the driver", None),
        (ImportError("x.so: undefined symbol: cuCtxCreate_v4"), True, "undefined symbol", "driver"),
        (ModuleNotFoundError("No module named 'pytools'"), True, "pytools", "pip install"),
        (ModuleNotFoundError("No module named 'pytools'"), False, "pytools", "pip install"),
    ],
)
def test_pycuda_that_cannot_be_imported(nothing, monkeypatch, request, error, loaded, problem, mend):
    def fail(name):
        raise error

    if loaded:
        request.getfixturevalue("library")
    monkeypatch.setattr(inventory, "import_module", fail)
    monkeypatch.setattr(inventory, "version", lambda name: "2026.1")
    part = shown()[1]["PyCUDA"]
    assert part["version"] == "2026.1"
    assert problem in part["problem"]
    assert part["mend"] is None if mend is None else mend in part["mend"]


def test_a_broken_compiler(compiler, gpus):
    script = compiler(code=3)
    part = shown()[1]["nvcc"]
    assert part["path"] == str(script)
    assert f"{script} does not run: " in part["problem"]
    assert part["mend"] == toolkit.MEND_NVCC
    script.write_text("not a program")
    script.chmod(0o755)
    toolkit.version.cache_clear()
    assert "Exec format error" in shown()[1]["nvcc"]["problem"]


@pytest.mark.parametrize(("release", "newer"), [("13.1", True), ("12.9", False), ("11.8", False)])
def test_a_compiler_newer_than_the_driver(compiler, library, release, newer):
    compiler(release)
    part = shown()[1]["nvcc"]
    assert part["version"] == release
    assert bool(part["problem"]) == bool(part["mend"]) == newer
    assert not newer or part["problem"].endswith("it knows CUDA 12.4")


@pytest.mark.parametrize(
    ("capability", "architectures", "notes"),
    [
        ((9, 0), (75, 90), []),
        ((7, 5), (75, 90), ["--precision tf32 and bf16 need compute capability 8.0"]),
        ((12, 1), (75, 80, 120), ["nvcc does not know this GPU: it makes compute_120, which the driver translates"]),
        ((8, 9), (75, 80, 120), ["nvcc does not know this GPU: it makes compute_80, which"]),
        ((7, 0), (75, 90), ["--precision tf32 ", "compiles for compute capability 7.5 and above, the GPU has 7.0"]),
    ],
)
def test_what_a_gpu_cannot_do(compiler, library, gpus, capability, architectures, notes):
    compiler(architectures=architectures)
    gpus.capability = capability
    found, _ = shown()
    (gpu,) = found["gpus"]
    assert found["auto"] == gpu["device"] == "cuda:0"
    assert gpu["capability"] == ".".join(map(str, capability))
    assert (gpu["memory"], gpu["free"]) == (8 * 10**9, 6 * 10**9)
    assert (gpus.depth, gpus.held) == (0, 0), "a context is left behind"
    assert len(gpu["notes"]) == len(notes)
    assert all(note in said for note, said in zip(notes, gpu["notes"], strict=True))
    lines = convnet("devices").stdout.splitlines()
    assert f"cuda:0        A GPU, 8,000 MB, 6,000 MB free, compute capability {gpu['capability']}" in lines
    assert all(f"{'':14}{note}" in lines for note in gpu["notes"])


def test_a_gpu_that_another_process_has_for_itself(compiler, library, gpus):
    compiler()
    gpus.in_use = True
    (gpu,) = shown()[0]["gpus"]
    assert gpu["free"] is None
    assert gpu["notes"][0] == "cannot be used: cuDevicePrimaryCtxRetain failed: exclusive-process"
    assert "A GPU, 8,000 MB, compute capability 7.5\n" in convnet("devices").stdout


def test_a_driver_that_pycuda_cannot_start(gpus, library):
    def fail():
        raise gpus.Error("cuInit failed")

    gpus.init = fail
    found, _ = shown()
    assert (found["gpus"], found["auto"]) == ([], "cpu")


@pytest.mark.parametrize("cuda", [12, 13])
def test_cublas_that_is_missing_or_broken(library, monkeypatch, cuda):
    pathfinder = ModuleType("cuda.pathfinder")
    pathfinder.DynamicLibNotFoundError = type("DynamicLibNotFoundError", (RuntimeError,), {})
    cublas = ModuleType("nvmath.bindings.cublas")
    cublas.cuBLASError = type("cuBLASError", (Exception,), {})
    cublas.get_property = lambda number: (13, 2, 1)[number]
    pathfinder.load_nvidia_dynamic_lib = lambda name: SimpleNamespace(abs_path=f"/lib/{name}.so")
    bindings = ModuleType("nvmath.bindings")
    bindings.cublas = cublas
    for module in (pathfinder, bindings, cublas):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    found = driver.Driver(loaded=True, cuda=(cuda, 4))
    assert inventory._cublas(found) == inventory.Part("cuBLAS", "13.2.1", "/lib/cublas.so")
    assert inventory._cublas(driver.Driver(loaded=False)) == inventory.Part("cuBLAS", None, "/lib/cublas.so")

    def refuse(number):
        raise cublas.cuBLASError("no\nsuch property")

    cublas.get_property = refuse
    assert inventory._cublas(found).problem == "no such property"

    def missing(name):
        raise pathfinder.DynamicLibNotFoundError("a long text")

    pathfinder.load_nvidia_dynamic_lib = missing
    part = inventory._cublas(found)
    assert part.problem == "not found"
    assert part.mend == ("pip install nvidia-cublas-cu12" if cuda == 12 else "pip install nvidia-cublas")


def test_on_virtual_gpus():
    found = json.loads(on_virtual_gpus("devices", "--json", devices=3, memory=7 * 10**6, capability=75).stdout)
    assert [gpu["device"] for gpu in found["gpus"]] == ["cuda:0", "cuda:1", "cuda:2"]
    for gpu in found["gpus"]:
        assert (gpu["memory"], gpu["free"], gpu["capability"]) == (7 * 10**6, 7 * 10**6, "7.5")
        assert gpu["notes"] == ["--precision tf32 and bf16 need compute capability 8.0"]
    assert found["auto"] == "cuda:0"
    assert not any(part["problem"] for part in found["parts"])
    assert {part["name"] for part in found["parts"] if part["version"]} == set(PARTS) - {"C++ compiler"}


def test_nothing_is_left_behind_on_virtual_gpus():
    result = on_virtual_gpus("devices")
    assert result.stderr == ""
    assert re.search(r"^cuda:1 .*, compute capability 8\.0$", result.stdout, re.MULTILINE)


def test_no_virtual_gpu():
    found = json.loads(on_virtual_gpus("devices", "--json", devices=0).stdout)
    assert (found["gpus"], found["auto"]) == ([], "cpu")
    problem = found["parts"][0]["problem"]
    assert problem
    assert problem.endswith("(error 100)")
    result = on_virtual_gpus("describe", "--layers", "digits", "--device", "cuda", devices=0, code=2)
    assert result.stderr.startswith("convnet: cuda:0: no GPU can be used: ")


def test_describe_tells_what_fits_and_train_agrees(tmp_path):
    """On a virtual GPU of 4 MB; only loading needs doing: nets too large are refused before that."""
    net = ("--layers", "digits", "--device", "cuda:1")
    described = on_virtual_gpus("describe", *net, "--mini", 4000, "--json", memory=4 * 10**6).stdout
    (found,) = json.loads(described)["memory"]
    assert (found["device"], found["free"]) == ("cuda:1", 4 * 10**6)
    assert 32 < found["largest_mini"] < 4000
    rough = on_virtual_gpus("describe", *net, "--precision", "bf16", memory=4 * 10**6).stdout.splitlines()[-1]
    assert re.fullmatch(r"on cuda:1: 0\.\d MB needed with --mini 32, 4\.0 MB free; the largest --mini .* (\d+)", rough)
    assert int(rough.split()[-1]) > found["largest_mini"], "activations of half the size"
    arguments = ("train", *net, "--mini", 4000, "--save-path", tmp_path / "runs")
    result = on_virtual_gpus(*arguments, memory=4 * 10**6, code=2)
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("convnet: cuda:1: with --mini 4000 the net needs ")
    assert result.stderr.endswith(f"the largest --mini that fits is {found['largest_mini']}\n")
    assert not (tmp_path / "runs").exists()


def test_a_net_for_two_gpus(tmp_path, monkeypatch):
    """On two, on one that is named twice, and with one GPU that nobody has named twice."""
    monkeypatch.chdir(tmp_path)
    Path("net.cfg").write_text(LAYERS.replace("type=fc\n", "type=fc\ngpu=1\n"))
    Path("rates.cfg").write_text(PARAMS)
    arguments = ("train", "--layers", "net.cfg", "--params", "rates.cfg", "--data-provider", "dummy-3x8x8-3",
                 "--device", "cuda", "--no-tune", "--epochs", 1)  # fmt: skip
    both = on_virtual_gpus(*arguments).stdout
    one = on_virtual_gpus(*arguments, "--gpu", "0,0", devices=1).stdout
    assert ", on cuda:0, cuda:1\n" in both
    assert ", on cuda:0, cuda:0\n" in one
    costs = [[line.partition("(")[0] for line in lines.splitlines() if "logprob" in line] for lines in (both, one)]
    assert costs[0] == costs[1] != []
    assert on_virtual_gpus(*arguments, devices=1, code=2).stderr == (
        "convnet: cuda:1: there are 1 GPUs; `convnet devices` lists them; the net runs on 2 devices: --gpu 0,0 puts "
        "all on one GPU, --device cpu lets the CPU stand for them\n"
    )


def test_the_modules_of_the_inventory_need_no_package():
    """Imported by themselves, in a process that has loaded nothing else."""
    code = "import sys, convnet.backends.cuda.inventory; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(run.stdout.split()) & {"pycuda", "nvmath", "numba", "ml_dtypes", "cuda.pathfinder"}
