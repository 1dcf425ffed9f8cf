"""Element-wise operations against NumPy and loops, with lengths that do not fill the last block."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.eltwise import cpu

SHAPES = [(3, 5, 7, 2), (11, 1237), (1, 1)]


@pytest.fixture(params=SHAPES, ids=str)
def shape(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return tuple(request.param)


@pytest.fixture
def dev() -> CpuDevice:
    return CpuDevice(threads=2)


def numbers(seed: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-15), ("float32", 1e-6)])
def test_scale(dev: CpuDevice, shape: tuple[int, ...], accumulate: bool, dtype: str, tolerance: float) -> None:
    x = numbers(1, shape, dtype)
    y = numbers(2, shape, dtype) if accumulate else np.full(shape, np.nan, dtype)
    expected = -0.3 * x.astype(np.float64) + (y if accumulate else 0)
    cpu.scale(dev, x, y, coeff=-0.3, accumulate=accumulate)()
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("inputs", [2, 3, 5])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_fprop_max(dev: CpuDevice, shape: tuple[int, ...], inputs: int, dtype: str) -> None:
    xs = [numbers(seed, shape, dtype) - 2 for seed in range(inputs)]
    y = np.full(shape, np.nan, dtype)
    cpu.fprop_max(dev, xs, y)()
    np.testing.assert_array_equal(y, np.max(xs, axis=0))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_not_a_number_is_seen(dev: CpuDevice, place: int) -> None:
    xs = [np.full((2, 3), float(number)) for number in (1, 3, 2)]
    xs[place][1, 1] = np.nan
    y = np.empty((2, 3))
    cpu.fprop_max(dev, xs, y)()
    np.testing.assert_array_equal(y, [[3, 3, 3], [3, np.nan, 3]])


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_bprop_max_gives_all_of_dy_to_every_maximum(
    dev: CpuDevice, shape: tuple[int, ...], accumulate: bool, dtype: str
) -> None:
    xs = [numbers(seed, shape, dtype).round() for seed in range(3)]  # many ties
    y, dy = np.max(xs, axis=0), numbers(4, shape, dtype)
    assert y.size == 1 or sum((x == y).sum() for x in xs) > y.size
    for x in xs:
        before = numbers(5, shape, dtype)
        dx = before.copy() if accumulate else np.full(shape, np.nan, dtype)
        cpu.bprop_max(dev, dy, x, y, dx, accumulate=accumulate)()
        np.testing.assert_array_equal(dx, np.where(x == y, dy, 0) + (before if accumulate else 0))


def test_arrays_that_do_not_fit(dev: CpuDevice) -> None:
    x, y = np.zeros((3, 4)), np.zeros((4, 3))
    with pytest.raises(ValueError, match="eltwise: expected arrays of one shape"):
        cpu.scale(dev, x, y, coeff=1.0, accumulate=False)
    with pytest.raises(ValueError, match="eltwise: expected arrays of one shape"):
        cpu.fprop_max(dev, [x, x[:2]], x.copy())
    with pytest.raises(ValueError, match="eltwise: expected arrays of one shape"):
        cpu.bprop_max(dev, x, x, y, x.copy(), accumulate=False)
