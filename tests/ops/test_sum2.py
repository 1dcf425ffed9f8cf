"""Sum of squares against exact sums and PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.sum2 import cpu

SHAPES = [(5, 37), (1, 1), (3, 1025)]


@pytest.fixture
def dev() -> CpuDevice:
    return CpuDevice(threads=2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-6)])
def test_fprop(dev: CpuDevice, shape: tuple[int, int], dtype: str, tolerance: float) -> None:
    x = np.random.default_rng(5).normal(size=shape).astype(dtype)
    values = np.full((shape[0], 1), np.nan, dtype)
    cpu.fprop(dev, x, values)()
    expected = [[math.fsum(float(number) ** 2 for number in case)] for case in x]
    np.testing.assert_allclose(values, expected, rtol=tolerance)


@pytest.mark.peer
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 2e-6)])
def test_bprop(
    torch: Any, dev: CpuDevice, shape: tuple[int, int], accumulate: bool, dtype: str, tolerance: float
) -> None:  # fmt: skip
    generator = np.random.default_rng(6)
    x = torch.tensor(generator.normal(size=shape), requires_grad=True)
    before = generator.normal(size=shape)
    (expected,) = torch.autograd.grad(0.7 * (x * x).sum(), x)
    dx = before.astype(dtype)
    cpu.bprop(dev, x.detach().numpy().astype(dtype), dx, coeff=0.7, accumulate=accumulate)()
    np.testing.assert_allclose(dx, expected.numpy() + before * accumulate, rtol=tolerance, atol=tolerance)


def test_arrays_that_do_not_fit(dev: CpuDevice) -> None:
    x = np.zeros((3, 5), np.float32)
    with pytest.raises(ValueError, match=r"values of shape \(3,\)"):
        cpu.fprop(dev, x, np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"dx of shape \(3, 4\)"):
        cpu.bprop(dev, x, x[:, :4], coeff=1.0, accumulate=False)
