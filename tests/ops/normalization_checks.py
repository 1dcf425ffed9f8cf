"""What the tests of the three normalizations have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.rnorm import Normalization

from . import reference_norm
from .conftest import Run

TOLERANCE = {"float64": 1e-12, "float32": 5e-6, "bfloat16": 2**-8}  # bfloat16: half of it is rounding once
_ROOM = 1 << 16  # numbers of a workspace


def float64_run() -> Run:
    """For what only float64 can show."""
    return Run(CpuDevice(threads=2), np.float64)


def poison(run: Run) -> None:
    """Fill the device's workspace with NaN, as another operation might leave it."""
    device: Any = run.device
    if device.backend == "cpu":
        for memory in device._scratch:
            memory.reserve((_ROOM,), np.float64)()[:] = np.nan
    else:
        array = device.workspace.reserve((_ROOM,))()
        device.upload(np.full(array.shape, np.nan), array)


def check_fprop(run: Run, operation: str, norm: Normalization, shape: tuple[int, ...]) -> None:
    """Compare fprop with the reference."""
    x = np.random.default_rng(1).normal(size=shape).astype(run.dtype)
    y = np.full_like(x, np.nan)
    poison(run)
    run(f"{operation}.fprop", x, y, norm)
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(y.astype(np.float64), reference_norm.fprop(operation, x, norm), rtol=tolerance)


def check_bprop(run: Run, operation: str, norm: Normalization, shape: tuple[int, ...], accumulate: bool) -> None:
    """Compare bprop with the reference."""
    dy, x, before = (array.astype(run.dtype) for array in np.random.default_rng(2).normal(size=(3, *shape)))
    dx = before.copy() if accumulate else np.full_like(x, np.nan)
    poison(run)
    run(f"{operation}.bprop", dy, x, dx, norm, accumulate=accumulate)
    expected = reference_norm.bprop(operation, dy, x, norm) + (before.astype(np.float64) if accumulate else 0)
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(dx.astype(np.float64), expected, rtol=tolerance, atol=tolerance)


def check_gradient(operation: str, norm: Normalization, shape: tuple[int, ...]) -> None:
    """Compare the gradient with central differences of fprop along a random direction."""
    dy, x, direction = np.random.default_rng(3).normal(size=(3, *shape))
    up, down, dx = np.empty((3, *shape))
    run, step = float64_run(), 1e-5
    run(f"{operation}.fprop", x + step * direction, up, norm)
    run(f"{operation}.fprop", x - step * direction, down, norm)
    run(f"{operation}.bprop", dy, x, dx, norm, accumulate=False)
    expected = np.sum(dy * (up - down)) / (2 * step)
    np.testing.assert_allclose(np.sum(dx * direction), expected, rtol=1e-8)


def check_repeats(run: Run, operation: str, norm: Normalization, shape: tuple[int, ...]) -> None:
    """Check that the same calls give the same bits."""
    dy, x = (array.astype(run.dtype) for array in np.random.default_rng(4).normal(size=(2, *shape)))
    results = []
    for _ in range(2):
        y, dx = np.full_like(x, np.nan), np.full_like(x, np.nan)
        run(f"{operation}.fprop", x, y, norm)
        run(f"{operation}.bprop", dy, x, dx, norm, accumulate=False)
        results.append((y.tobytes(), dx.tobytes()))
    assert results[0] == results[1]
