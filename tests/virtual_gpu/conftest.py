"""What the virtual GPU's own tests share."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests import virtual_gpu
from tests.virtual_gpu import controls

HERE = Path(__file__).parent
PRODUCT_INCLUDE = HERE.parents[1] / "convnet" / "backends" / "cuda" / "include"


@pytest.fixture(scope="session")
def drv():
    """PyCUDA's driver module, on the virtual GPU."""
    try:
        virtual_gpu.start()
    except virtual_gpu.Unavailable as error:
        pytest.skip(f"no virtual GPU: {error}")
    import pycuda.driver

    pycuda.driver.init()
    return pycuda.driver


@pytest.fixture
def context(drv):
    """A context of its own on device 0, current during the test. Nothing of the test may be left behind."""
    with controls.no_leaks():
        made = drv.Device(0).make_context()
        try:
            yield made
        finally:
            made.pop()
            made.detach()


@pytest.fixture(scope="session")
def compile_kernels(drv):
    """A function that compiles a file of kernels/ with macros: each combination once in a session."""
    from pycuda.compiler import compile as pycuda_compile

    kept = {}

    def compiled(name, **macros):
        key = (name, tuple(sorted(macros.items())), os.environ.get("VIRTUAL_GPU_RACES"))
        if key not in kept:
            kept[key] = pycuda_compile(
                (HERE / "kernels" / name).read_text(),
                no_extern_c=True,
                arch="sm_80",
                options=["-O3", "-std=c++17", *(f"-D{macro}={value}" for macro, value in macros.items())],
                include_dirs=[str(PRODUCT_INCLUDE)],
                cache_dir=False,
            )
        return kept[key]

    return compiled


@pytest.fixture
def kernels(drv, context, compile_kernels):
    """A function that gives the module of a file of kernels/ in the test's context."""

    def loaded(name, **macros):
        return drv.module_from_buffer(compile_kernels(name, **macros))

    return loaded


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(1)
