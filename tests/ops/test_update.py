"""The update against float64 loops and PyTorch's SGD."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import Array, CpuDevice
from convnet.ops.update import cpu

OFFSETS = np.array([[3, 10], [10, 11], [20, 20020], [20025, 36409]], np.int64)  # with gaps; several blocks
RATES = np.array([[0.1, 0.9, 0.3, 1 / 7], [0.0, 0.5, 0.2, 1 / 7], [0.02, 0.0, 0.0, 1 / 128], [0.5, 0.95, 1.5, 1.0]])
SIZE = 36420


@pytest.fixture
def dev() -> CpuDevice:
    return CpuDevice(threads=2)


def arrays(dtype: str) -> list[Array]:
    """w, inc, g."""
    generator = np.random.default_rng(12)
    return [generator.normal(size=SIZE).astype(dtype) for _ in range(3)]


def stepped(w: Array, inc: Array, g: Array, rates: Array) -> tuple[Array, Array]:
    """w and inc after one step by the rule as it is written in the contract, in float64."""
    w, inc, g = (array.astype(np.float64) for array in (w, inc, g))
    for (start, stop), (eps, mom, wc, share) in zip(OFFSETS.tolist(), rates.tolist(), strict=True):
        for i in range(start, stop) if eps else ():
            inc[i] = mom * inc[i] - eps * (g[i] * share) - eps * wc * w[i]
            w[i] = w[i] + inc[i]
    return w, inc


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float32", 2e-6)])
def test_momentum(dev: CpuDevice, dtype: str, tolerance: float) -> None:
    w, inc, g = arrays(dtype)
    before = w.copy(), inc.copy(), g.copy()
    expected_w, expected_inc = stepped(w, inc, g, RATES)
    cpu.momentum(dev, w, inc, g, offsets=OFFSETS, rates=RATES)()
    np.testing.assert_allclose(w, expected_w, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(inc, expected_inc, rtol=tolerance, atol=tolerance)
    assert np.array_equal(g, before[2])
    for start, stop in [(0, 3), (10, 20), (20020, 20025), (36409, SIZE)]:  # gaps, and the segment with eps = 0
        assert np.array_equal(w[start:stop], before[0][start:stop])
        assert np.array_equal(inc[start:stop], before[1][start:stop])


def test_rates_are_read_at_each_launch(dev: CpuDevice) -> None:
    w, inc, g = arrays("float64")
    rates = RATES.copy()
    launch = cpu.momentum(dev, w, inc, g, offsets=OFFSETS, rates=rates)
    for eps in (0.0, 0.3, 0.01):
        rates[1, 0] = eps
        expected_w, _ = stepped(w, inc, g, rates)
        launch()
        np.testing.assert_allclose(w, expected_w, rtol=1e-13, atol=1e-13)


def test_no_segments(dev: CpuDevice) -> None:
    w, inc, g = arrays("float32")
    before = w.copy()
    cpu.momentum(dev, w, inc, g, offsets=np.zeros((0, 2), np.int64), rates=np.zeros((0, 4)))()
    assert np.array_equal(w, before)


@pytest.mark.peer
def test_momentum_is_torch_sgd_at_a_constant_rate(torch: Any, dev: CpuDevice) -> None:
    generator = np.random.default_rng(13)
    w = generator.normal(size=501)
    parameter = torch.tensor(w.copy(), requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.05, momentum=0.8, weight_decay=0.4)
    inc, g = np.zeros(501), np.empty(501)
    offsets, rates = np.array([[0, 501]], np.int64), np.array([[0.05, 0.8, 0.4, 0.1]])
    launch = cpu.momentum(dev, w, inc, g, offsets=offsets, rates=rates)
    for _ in range(4):
        g[:] = generator.normal(size=501)
        parameter.grad = torch.tensor(g / 10)
        optimizer.step()
        launch()
        np.testing.assert_allclose(w, parameter.detach().numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("modules", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-6)])
def test_wball(dev: CpuDevice, exact: bool, modules: int, dtype: str, tolerance: float) -> None:
    generator = np.random.default_rng(14)
    w = generator.normal(size=(21, 131)) * generator.uniform(0.1, 2, (21, 131))
    w = w.astype(dtype)
    vectors = w.astype(np.float64).reshape(modules, 21 // modules, 131)
    expected = vectors.copy()
    limit = float(np.median(np.sqrt((vectors**2).sum(1))))  # half of the columns are longer
    for part in range(modules):
        for column in range(131):
            norm = np.sqrt(sum(value**2 for value in vectors[part, :, column]))
            if exact or norm > limit:
                expected[part, :, column] *= limit / norm
    cpu.wball(dev, w, limit=limit, exact=exact, modules=modules)()
    np.testing.assert_allclose(w, expected.reshape(w.shape), rtol=tolerance)


@pytest.mark.parametrize("exact", [False, True])
def test_wball_leaves_columns_of_zeros_and_of_nan(dev: CpuDevice, exact: bool) -> None:
    w = np.array([[0, np.nan, 3], [0, 5, 4]], np.float32)
    cpu.wball(dev, w, limit=1.0, exact=exact)()
    np.testing.assert_allclose(w, [[0, np.nan, 0.6], [0, 5, 0.8]], rtol=1e-6)


def test_arrays_that_do_not_fit(dev: CpuDevice) -> None:
    w = np.zeros(10)
    offsets, rates = np.array([[0, 10]], np.int64), np.zeros((1, 4))
    with pytest.raises(ValueError, match=r"\(10,\), \(9,\), \(10,\)"):
        cpu.momentum(dev, w, w[:9], w, offsets=offsets, rates=rates)
    with pytest.raises(ValueError, match=r"\(1, 2\), \(2, 4\)"):
        cpu.momentum(dev, w, w, w, offsets=offsets, rates=np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"segments 1\.\.11 of 10 weights"):
        cpu.momentum(dev, w, w, w, offsets=offsets + 1, rates=rates)
