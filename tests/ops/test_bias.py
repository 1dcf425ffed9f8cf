"""Sums over rows against NumPy in float64: few and many rows, columns cut into blocks and not."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.bias import cpu

SHAPES = [(1, 1), (7, 5), (512, 1500), (513, 11), (5000, 3), (1300, 2 * cpu.COLUMNS + 7)]


def device(threads: int = 2) -> CpuDevice:
    """A device whose workspace holds NaN, as another operation might leave it."""
    dev = CpuDevice(threads=threads)
    dev.workspace.reserve((1 << 17,), np.float64)()[:] = np.nan
    return dev


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_bprop_sums_rows(shape: tuple[int, int], accumulate: bool, dtype: str, tolerance: float) -> None:
    dy = np.random.default_rng(1).uniform(0.5, 1.5, shape).astype(dtype)
    db = np.arange(shape[1]).astype(dtype) if accumulate else np.full(shape[1], np.nan, dtype)
    expected = dy.astype(np.float64).sum(axis=0) + (db if accumulate else 0)
    cpu.bprop(device(), dy, db, accumulate=accumulate)()
    np.testing.assert_allclose(db, expected, rtol=tolerance)


def test_a_launch_repeats() -> None:
    dy, db = np.ones((1000, 3)), np.zeros(3)
    launch = cpu.bprop(device(), dy, db, accumulate=True)
    launch()
    dy *= 2
    launch()
    assert db.tolist() == [3000, 3000, 3000]


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("shape", SHAPES)
def test_threads_do_not_change_a_bit(shape: tuple[int, int], threads: int) -> None:
    dy = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    one, many = (np.empty(shape[1], np.float32) for _ in range(2))
    cpu.bprop(device(1), dy, one, accumulate=False)()
    cpu.bprop(device(threads), dy, many, accumulate=False)()
    np.testing.assert_array_equal(many, one)


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="bias"):
        cpu.bprop(device(), np.zeros((4, 3)), np.zeros(4), accumulate=False)
