"""What the tests of the three normalizations have in common."""

from __future__ import annotations

import numpy as np

from convnet.backends.cpu.device import CpuDevice
from convnet.ops import load
from convnet.ops.rnorm import Normalization

from . import reference_norm

TOLERANCE = {"float64": 1e-12, "float32": 5e-6}


def device(threads: int = 2) -> CpuDevice:
    """A device whose workspace holds NaN, as another operation might leave it."""
    dev = CpuDevice(threads=threads)
    dev.workspace.reserve((1 << 16,), np.float64)()[:] = np.nan
    return dev


def check_fprop(operation: str, norm: Normalization, shape: tuple[int, ...], dtype: str) -> None:
    """Compare fprop with the reference."""
    x = np.random.default_rng(1).normal(size=shape).astype(dtype)
    y = np.full_like(x, np.nan)
    load(operation, "cpu").fprop(device(), x, y, norm)()
    np.testing.assert_allclose(y, reference_norm.fprop(operation, x, norm), rtol=TOLERANCE[dtype])


def check_bprop(operation: str, norm: Normalization, shape: tuple[int, ...], dtype: str, accumulate: bool) -> None:
    """Compare bprop with the reference."""
    dy, x, before = (array.astype(dtype) for array in np.random.default_rng(2).normal(size=(3, *shape)))
    dx = before.copy() if accumulate else np.full_like(x, np.nan)
    load(operation, "cpu").bprop(device(), dy, x, dx, norm, accumulate=accumulate)()
    expected = reference_norm.bprop(operation, dy, x, norm) + (before if accumulate else 0)
    np.testing.assert_allclose(dx, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def check_gradient(operation: str, norm: Normalization, shape: tuple[int, ...]) -> None:
    """Compare the gradient with central differences of fprop along a random direction."""
    dy, x, direction = np.random.default_rng(3).normal(size=(3, *shape))
    up, down, dx = np.empty((3, *shape))
    dev, step, module = device(), 1e-5, load(operation, "cpu")
    module.fprop(dev, x + step * direction, up, norm)()
    module.fprop(dev, x - step * direction, down, norm)()
    module.bprop(dev, dy, x, dx, norm, accumulate=False)()
    expected = np.sum(dy * (up - down)) / (2 * step)
    np.testing.assert_allclose(np.sum(dx * direction), expected, rtol=1e-8)
