"""The look-alike of nvcc: its command line, and what of CUDA C++ it takes."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture
def nvcc(drv, tmp_path):
    """A function that calls the nvcc that is first on the PATH."""

    def call(*arguments):
        return subprocess.run(["nvcc", *map(str, arguments)], capture_output=True, text=True, check=False, cwd=tmp_path)

    return call


@pytest.fixture
def module(kernels):
    return kernels("forms.cu")


@pytest.fixture
def ga(context):
    from pycuda import gpuarray

    return gpuarray


def test_version_and_architectures(nvcc):
    version = nvcc("--version")
    assert version.returncode == 0
    assert "release 13.0" in version.stdout
    assert "virtual-gpu-" in version.stdout
    assert {"sm_75", "sm_90", "sm_120"} <= set(nvcc("--list-gpu-code").stdout.split())


def test_the_projects_command_line(drv, context, nvcc, tmp_path):
    source = HERE / "kernels" / "arrays.cu"
    options = ["-arch=sm_90", "-O3", "-std=c++17", "-lineinfo", "-DACT_BF16=0", "-I", HERE]
    options += ["--resource-usage", "-Xptxas", "-v"]
    for target in ("-cubin", "-ptx", "--fatbin"):
        done = nvcc(target, *options, "-o", tmp_path / "out", source)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        module = drv.module_from_file(str(tmp_path / "out"))
        assert module.get_function("fill").max_threads_per_block == 1024
    assert nvcc("-cubin", *options, source).returncode == 0
    assert (tmp_path / "arrays.cubin").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-cubin", "--no-such-option", "x.cu"], "Unknown option '--no-such-option'"),
        (["-cubin", "missing.cu"], "Could not open input file 'missing.cu'"),
        (["-cubin", "-arch=sm_61", "x.cu"], "Unsupported gpu architecture 'sm_61'"),
        (["-cubin"], "No input files specified"),
    ],
)
def test_fatal_errors(nvcc, arguments, text):
    done = nvcc(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("nvcc fatal   : ")
    assert text in done.stderr


@pytest.mark.parametrize(
    ("options", "place"),
    [([], "mistake.cu(16): error: 'undeclared_here'"), (["-DIN_HEADER"], "mistake.cuh(2): error: 'undeclared_there'")],
)
def test_errors_tell_file_and_line(nvcc, options, place):
    done = nvcc("-cubin", "-I", HERE, *options, HERE / "kernels" / "mistake.cu")
    assert done.returncode == 1
    assert f"{HERE / 'kernels'}/{place}" in done.stderr


def test_an_error_of_the_preprocessor_tells_file_and_line(nvcc, tmp_path):
    (tmp_path / "x.cu").write_text("\n#include <no/such/file.h>\n")
    done = nvcc("-cubin", "x.cu")
    assert done.returncode == 1
    assert "x.cu(2): fatal error: no/such/file.h" in done.stderr


def test_dynamic_shared_memory_outside_of_functions_is_refused(nvcc, tmp_path):
    (tmp_path / "x.cu").write_text("extern __shared__ float kept[];\n")
    done = nvcc("-cubin", "x.cu")
    assert done.returncode == 1
    assert "x.cu(1): error" in done.stderr


def test_preprocessing(nvcc):
    done = nvcc("--preprocess", HERE / "kernels" / "forms.cu", "--compiler-options", "-P")
    assert done.returncode == 0
    assert "void twice_int(int* x)" in done.stdout


def test_kernels_in_all_forms(drv, module, ga):
    x, i = ga.to_gpu(np.full(64, 3, np.float32)), ga.to_gpu(np.full(64, 3, np.int32))
    module.get_function("twice_float")(x, block=(64, 1, 1))
    module.get_function("twice_int")(i, block=(64, 1, 1))
    assert (x.get() == 6).all()
    assert (i.get() == 6).all()
    bounded = module.get_function("bounded")
    assert bounded.max_threads_per_block == 64
    bounded(x, block=(64, 1, 1))
    assert (x.get() == 64).all()
    module.get_function("declared_first")(x, block=(64, 1, 1))
    assert (x.get() == 5).all()
    for name in ("in_a_comment", "a_template", "no_such_kernel"):
        with pytest.raises(drv.LogicError, match="NOT_FOUND"):
            module.get_function(name)


def test_shared_memory_and_globals_in_all_forms(module, ga):
    x = ga.zeros(32, np.float32)
    kernel = module.get_function("shared_memory")
    for _ in range(2):
        kernel(x, block=(32, 1, 1), shared=16)
        assert (x.get() == 1 + 2 + 4 + 8 + 16 + 96).all()
    assert 4 * (8 + 4 + 4 + 1) <= kernel.shared_size_bytes < 256


@pytest.mark.parametrize(("number", "chosen"), [(80, 80), (90, 90)])
def test_the_architecture_is_told(drv, context, nvcc, tmp_path, ga, number, chosen):
    assert nvcc("-cubin", f"-arch=sm_{number}", "-o", "out", HERE / "kernels" / "forms.cu").returncode == 0
    x = ga.zeros(2, np.int32)
    drv.module_from_file(str(tmp_path / "out")).get_function("architecture")(x, block=(1, 1, 1))
    np.testing.assert_array_equal(x.get(), [chosen, 10 * number])


def test_numbers(module, ga):
    x, i = ga.zeros(5, np.float32), ga.zeros(9, np.int32)
    module.get_function("numbers")(x, i, block=(1, 1, 1))
    once = np.float32(1 + 2.0**-12)
    expected = [12, once * once - np.float32(1), 2.0**-11 + 2.0**-24, 10.5, 35]
    np.testing.assert_array_equal(x.get(), np.array(expected, np.float32))
    np.testing.assert_array_equal(i.get(), [3, 8, 4, 31, 0x3F800000, -15, 0x07050301, 1, 42])
