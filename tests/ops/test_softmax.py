"""Softmax against PyTorch in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import Array, CpuDevice
from convnet.ops.softmax import cpu

SHAPES = [(7, 13), (3, 1), (1, 1000), (5, 67)]


@pytest.fixture
def dev() -> CpuDevice:
    return CpuDevice(threads=2)


def scores(shape: tuple[int, int]) -> Array:
    """Scores between about -1000 and 1000: without the maximum taken off, exp overflows."""
    generator = np.random.default_rng(3)
    return generator.normal(size=shape) * 3 + generator.normal(size=(shape[0], 1)) * 800


@pytest.mark.peer
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 2e-6)])
def test_fprop(torch: Any, dev: CpuDevice, shape: tuple[int, int], dtype: str, tolerance: float) -> None:
    x = scores(shape).astype(dtype)
    y = np.full(shape, np.nan, dtype)
    cpu.fprop(dev, x, y)()
    expected = torch.softmax(torch.tensor(x, dtype=torch.float64), 1).numpy()
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=1e-300 if dtype == "float64" else 1e-37)


@pytest.mark.peer
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
def test_bprop(
    torch: Any, dev: CpuDevice, shape: tuple[int, int], accumulate: bool, dtype: str, tolerance: float
) -> None:  # fmt: skip
    generator = np.random.default_rng(4)
    x = torch.tensor(generator.normal(size=shape), requires_grad=True)
    dy, before = generator.normal(size=shape), generator.normal(size=shape)
    y = torch.softmax(x, 1)
    (expected,) = torch.autograd.grad(y, x, torch.tensor(dy))
    dx = before.astype(dtype)
    cpu.bprop(dev, dy.astype(dtype), y.detach().numpy().astype(dtype), dx, accumulate=accumulate)()
    np.testing.assert_allclose(dx, expected.numpy() + before * accumulate, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 4])
def test_a_diverged_case_is_seen_and_spoils_no_other(dev: CpuDevice, bad: float, place: int) -> None:
    x = np.zeros((3, 5), np.float32)
    x[1, place] = bad
    y = np.empty_like(x)
    cpu.fprop(dev, x, y)()
    assert np.isnan(y[1]).all()
    np.testing.assert_allclose(y[[0, 2]], 0.2, rtol=1e-6)


def test_arrays_that_do_not_fit(dev: CpuDevice) -> None:
    one, other = np.zeros((3, 5), np.float32), np.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"\(3, 5\), \(3, 4\)"):
        cpu.fprop(dev, one, other)
    with pytest.raises(ValueError, match=r"\(3, 5\), \(3, 5\), \(3, 4\)"):
        cpu.bprop(dev, one, one, other, accumulate=False)
