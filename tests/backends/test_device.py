"""What a CPU device promises: one BLAS thread, the same bits for any number of threads, a place for kernels."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from convnet.backends import DeviceOptions, open_devices
from convnet.backends.cpu.device import CpuDevice
from convnet.errors import ConvnetError

ROOT = Path(__file__).resolve().parents[2]

BLAS_THREADS = """
import threadpoolctl
from convnet.backends import DeviceOptions, open_device
open_device(DeviceOptions("cpu", 2))
print({pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"})
"""

# Sizes that BLAS cuts differently when it runs on several threads.
PRODUCT = """
import hashlib, numpy as np
from convnet.backends import DeviceOptions, open_device
from convnet.ops.matmul import cpu
generator = np.random.default_rng(0)
x, w = (generator.standard_normal(shape).astype(np.float32) for shape in ((100, 777), (777, 333)))
y = np.zeros((100, 333), np.float32)
cpu.fprop(open_device(DeviceOptions("cpu", 2)), x, w, None, y, accumulate=False, neuron=None)()
print(hashlib.sha256(y.tobytes()).hexdigest())
"""


def printed(code, **environment):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
                         env={**os.environ, **environment})  # fmt: skip
    return run.stdout.strip()


def test_blas_runs_on_one_thread_in_a_fresh_process():
    assert printed(BLAS_THREADS, OPENBLAS_NUM_THREADS="2") == "{1}"


def test_results_do_not_depend_on_the_threads_blas_began_with():
    assert printed(PRODUCT, OPENBLAS_NUM_THREADS="1") == printed(PRODUCT, OPENBLAS_NUM_THREADS="2")


def test_kernels_compile_where_no_cache_can_be_written():
    assert printed(PRODUCT, XDG_CACHE_HOME="/proc/none") == printed(PRODUCT)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("items", [1, 2, 5, 100])
def test_parallel_covers_every_item_once(threads, items):
    counts = np.zeros(items, np.int64)

    CpuDevice(threads=threads).parallel(count, items, counts)()
    assert counts.tolist() == [1] * items


@numba.njit(nogil=True)
def count(start, stop, target):
    for item in range(start, stop):
        target[item] += 1


@pytest.mark.parametrize(("options", "message"), [
    (DeviceOptions("cpu", gpus=(0,)), r"^--gpu: expected 2 devices, as many as the net runs on, found 1$"),
    (DeviceOptions("cuda:1"), r"^--device cuda:1 names one GPU; several are named by --device cuda --gpu 0,1,\.\.\.$"),
    (DeviceOptions("cpu", precision="bf16"), r"^--precision: the CPU computes in fp32, found 'bf16'$"),
])  # fmt: skip
def test_devices_that_cannot_be_had(options, message):
    with pytest.raises(ConvnetError, match=message):
        open_devices(options, 2)


@pytest.mark.parametrize(("threads", "number", "share"), [(8, 3, 2), (2, 4, 1), (5, 2, 2)])
def test_devices_that_stand_for_several_share_the_threads(threads, number, share):
    devices = open_devices(DeviceOptions("cpu", threads=threads), number)
    assert [(str(device), device.threads) for device in devices] == [(f"cpu:{i}", share) for i in range(number)]
