"""What all tests share."""

import contextlib
import functools
from pathlib import Path

import pytest

from tests import virtual_gpu

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
MISSING, COMPILED = pytest.StashKey[str](), pytest.StashKey[set]()
KERNELS = "convnet/kernels"  # in pytest's cache: the .cu files and macros that the tests used; whether all tests ran


@pytest.fixture(scope="session")
def device():
    """A CPU device with two threads, as the smallest machines have."""
    from convnet.backends import DeviceOptions, open_device

    return open_device(DeviceOptions("cpu", threads=2))


@pytest.fixture(scope="session")
def reference_files():
    """The folder of published cfg files and what their parsers made of them; not part of the project."""
    folder = SHARED / "reference"
    if not folder.is_dir():
        pytest.skip("the originals' cfg files are not here (../shared/reference)")
    return folder


@pytest.fixture(scope="session")
def torch():
    """PyTorch, which some results are compared with; it is no dependency."""
    return pytest.importorskip("torch", reason="PyTorch is not installed (pip install -e .[peer])")


@pytest.fixture(scope="session")
def cuda_device(request):
    """A function that opens the CUDA device with a precision: a virtual one, or with `-m gpu` the real one."""
    missing = request.config.stash.get(MISSING, None)
    if missing:
        pytest.skip(f"no virtual GPU: {missing}")
    if request.config.option.markexpr == "gpu":
        from convnet.backends import gpus_usable

        if not gpus_usable():
            pytest.skip("no GPU that can be used: `convnet devices` tells why")
    return functools.cache(_open_cuda)


@pytest.fixture
def orders(request):
    """Context managers: orders of threads and blocks other than the usual one, where the device can be told."""
    if request.config.option.markexpr == "gpu":
        return [contextlib.nullcontext()]
    from tests.virtual_gpu import controls

    return [controls.orders(order, order) for order in (controls.Order.DESCENDING, controls.Order.SHUFFLED)]


def _open_cuda(precision):
    from convnet.backends import DeviceOptions, open_device

    return open_device(DeviceOptions("cuda", precision=precision, tune=False))


def pytest_itemcollected(item):
    """The virtual GPU's own tests bear its marker."""
    if "virtual_gpu" in item.path.parts:
        item.add_marker("virtual_gpu")


def pytest_collection_finish(session):
    """Put the virtual GPU into the driver's place before a real driver is loaded, where tests are going to use it."""
    if session.config.option.markexpr == "gpu" or not any(map(_wants_gpu, session.items)):
        return
    try:
        virtual_gpu.start()
    except virtual_gpu.Unavailable as error:
        session.config.stash[MISSING] = str(error)
        return
    from convnet.backends.cuda import compiler, kernels

    kernels.compile_kernels = _noted(compiler.compile_kernels, session.config.stash.setdefault(COMPILED, set()))


def _noted(compile_kernels, compiled):
    """`compile_kernels`, noting what it compiles."""

    def noted(source, defines, capability):
        compiled.add((str(source.relative_to(ROOT)), tuple(sorted(defines.items()))))
        return compile_kernels(source, defines, capability)

    return noted


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Gather what one of several processes compiled, with `-n`."""
    node.config.stash.setdefault(COMPILED, set()).update(map(_as_noted, node.workeroutput.get(KERNELS, ())))


def _as_noted(kernel):
    source, defines = kernel
    return source, tuple(map(tuple, defines))


def pytest_sessionfinish(session):
    """Keep what was compiled for tests/backends/test_nvcc.py, which wants the real compiler."""
    config, compiled = session.config, session.config.stash.get(COMPILED, None)
    if compiled and hasattr(config, "workeroutput"):
        config.workeroutput[KERNELS] = sorted(compiled)
    elif compiled and hasattr(config, "cache"):
        all_marked = config.option.markexpr in ("", "gpu", "gpu or virtual_gpu")
        whole = all_marked and config.args_source.name != "ARGS" and not config.option.keyword
        config.cache.set(KERNELS, {"whole": whole, "kernels": sorted(compiled)})


@pytest.fixture(autouse=True)
def _no_virtual_gpu_unless_asked(request, monkeypatch):
    """Hide the virtual GPU from tests that know nothing of it, and their processes: "auto" is to mean the CPU there."""
    if COMPILED not in request.config.stash or _wants_gpu(request.node):
        yield
        return
    from tests.virtual_gpu import controls

    with controls.devices(0):
        monkeypatch.setenv("VIRTUAL_GPU_DEVICES", "0")  # for processes that it starts
        yield


def _wants_gpu(item):
    return item.get_closest_marker("gpu") is not None or item.get_closest_marker("virtual_gpu") is not None
