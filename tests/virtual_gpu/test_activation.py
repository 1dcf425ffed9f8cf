"""Where the virtual GPU comes from, and why it may not come."""

import subprocess
import sys

import pytest

from tests import virtual_gpu
from tests.virtual_gpu import activation
from tests.virtual_gpu import build as building

CHILD = """
import pycuda.autoprimaryctx
import pycuda.driver as drv
from nvmath.bindings import cublas
handle = cublas.create()
cublas.destroy(handle)
print(drv.Device.count(), drv.Context.get_device().name(), drv.Context.get_device().compute_capability())
"""


def test_processes_that_are_started_use_it_too(drv, monkeypatch):
    monkeypatch.setenv("VIRTUAL_GPU_DEVICES", "3")
    monkeypatch.setenv("VIRTUAL_GPU_CAPABILITY", "90")
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("3 Virtual GPU 0 (9, 0)\n", "")


def test_it_is_built_once(drv):
    assert building.build() == virtual_gpu.start()


def test_without_a_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(virtual_gpu.Unavailable, match=r"g\+\+ was not found"):
        building.build()


def test_without_headers(monkeypatch, tmp_path):
    monkeypatch.setattr(building, "include_folders", lambda: [tmp_path])
    with pytest.raises(virtual_gpu.Unavailable, match=r"cuda.h, .* not found; pip install nvidia-cuda-runtime"):
        building.build()


def test_headers_of_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(building, "HOMES", ())
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.delenv("CUDA_PATH", raising=False)
    monkeypatch.setattr(building.site, "getsitepackages", lambda: [str(tmp_path)])
    (tmp_path / "nvidia" / "cu13" / "include").mkdir(parents=True)
    include = tmp_path / "nvidia" / "cu13" / "include"
    assert building.include_folders()[:2] == [include, include / "cccl"]


def test_without_pycuda(monkeypatch):
    monkeypatch.setattr(activation, "PACKAGES", {"no_such_package": "a package: pip install it"})
    with pytest.raises(virtual_gpu.Unavailable, match="need a package: pip install it"):
        activation.start.__wrapped__()


def test_when_a_driver_is_loaded_already(drv):
    with pytest.raises(virtual_gpu.Unavailable, match=r"libcuda\.so\.1, which is loaded already"):
        activation.forbid_real_driver()


def test_a_failed_build_tells_the_compilers_words(tmp_path):
    (tmp_path / "x.cpp").write_text("nonsense;\n")
    with pytest.raises(RuntimeError, match=r"x.cpp:1:1: error"):
        building.run("g++", "-c", tmp_path / "x.cpp", "-o", tmp_path / "x.o")
