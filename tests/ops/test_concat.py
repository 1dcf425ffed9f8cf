"""Concatenation against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.concat import cpu

ROWS, WIDTHS = 29, (3, 1, 19)


@pytest.fixture
def dev() -> CpuDevice:
    return CpuDevice(threads=2)


@pytest.fixture(params=["float64", "float32"])
def parts(request: pytest.FixtureRequest) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.normal(size=(ROWS, width)).astype(request.param) for width in WIDTHS]


def offset(part: int) -> int:
    return sum(WIDTHS[:part])


def test_fprop(dev: CpuDevice, parts: list[np.ndarray]) -> None:
    y = np.full((ROWS, sum(WIDTHS)), np.nan, parts[0].dtype)
    for part in (2, 0, 1):
        cpu.fprop(dev, parts[part], y, offset=offset(part))()
    np.testing.assert_array_equal(y, np.concatenate(parts, axis=1))


def test_fprop_writes_its_own_columns_only(dev: CpuDevice, parts: list[np.ndarray]) -> None:
    y = np.full((ROWS, sum(WIDTHS)), 7, parts[0].dtype)
    cpu.fprop(dev, parts[1], y, offset=offset(1))()
    np.testing.assert_array_equal(y[:, :3], 7)
    np.testing.assert_array_equal(y[:, 4:], 7)


@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop(dev: CpuDevice, parts: list[np.ndarray], accumulate: bool) -> None:
    dy = np.concatenate(parts, axis=1)
    for part, expected in enumerate(parts):
        dx = np.full_like(expected, 0.5 if accumulate else np.nan)
        cpu.bprop(dev, dy, dx, offset=offset(part), accumulate=accumulate)()
        np.testing.assert_array_equal(dx, expected + expected.dtype.type(0.5) if accumulate else expected)


def test_parts_that_do_not_fit(dev: CpuDevice, parts: list[np.ndarray]) -> None:
    y = np.zeros((ROWS, sum(WIDTHS)), parts[0].dtype)
    for part, place in ((parts[2], 5), (parts[0], -1), (parts[0][1:], 0)):
        with pytest.raises(ValueError, match=r"concat: .* does not fit into"):
            cpu.fprop(dev, part, y, offset=place)
        with pytest.raises(ValueError, match=r"concat: .* does not fit into"):
            cpu.bprop(dev, y, part, offset=place, accumulate=False)
