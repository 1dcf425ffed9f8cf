"""Kernels compiled for processors with shorter vectors than this one's: what numba is told stands for the processor."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the processors stood for are x86")

_AVX2 = "+64bit,+avx,+avx2,+bmi,+bmi2,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+popcnt,+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2"
PROCESSORS = {
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": _AVX2},
    "SSE2": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
}
SIZES = {"AVX2": 32, "SSE2": 16}

# Both engines, all three functions, channels and filters that are no multiple of a vector.
_CODE = """
import sys
import numpy as np
from convnet.backends.cpu.device import CpuDevice
from convnet.backends.cpu.vectors import unit
from convnet.ops.conv import ConvGeometry, cpu_direct, cpu_direct_acts, cpu_direct_weights
from convnet.ops.conv import cpu_winograd, cpu_winograd_weights
from convnet.shape import Maps
from tests.ops import reference_conv as reference

assert unit().size == int(sys.argv[1]), unit()
g = ConvGeometry(Maps(10, 6, 7), 22, 3, 1, 1, 2, 6, 7)
rng = np.random.default_rng(0)
x, w, dy = (rng.normal(size=size).astype(np.float32) for size in ((3, 6, 7, 10), (45, 22), (3, 6, 7, 22)))
wide = [array.astype(np.float64) for array in (x, w, dy)]
dev = CpuDevice(threads=2)
for forward, back, weights in (
    (cpu_direct, cpu_direct_acts, cpu_direct_weights), (cpu_winograd, cpu_winograd, cpu_winograd_weights)
):
    y, dx, dw = np.empty_like(dy), np.empty_like(x), np.empty_like(w)
    forward.fprop(dev, x, w, None, y, g, accumulate=False, neuron=None)()
    back.bprop_acts(dev, dy, w, dx, g, accumulate=False)()
    weights.bprop_weights(dev, x, dy, dw, g, accumulate=False)()
    np.testing.assert_allclose(y, reference.fprop(wide[0], wide[1], g), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dx, reference.bprop_acts(wide[2], wide[1], g), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dw, reference.bprop_weights(wide[0], wide[2], g), rtol=1e-4, atol=1e-4)
"""


@pytest.mark.parametrize("name", PROCESSORS)
def test_convolution(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CODE, str(SIZES[name])], env={**os.environ, **PROCESSORS[name]}, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
