"""Pooling against loops in float64, over overhang, gaps, windows outside the image and ties."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.pool import PoolGeometry, cpu, outputs
from convnet.shape import Maps

from . import reference_pool

# maps (channels, y, x), size, stride, start, outputs y, outputs x.
GEOMETRIES = {
    "overlapping": PoolGeometry(Maps(7, 9, 7), 3, 2, 0, 4, 3),
    "overhang": PoolGeometry(Maps(3, 8, 10), 3, 2, 0, 4, 5),
    "begins outside": PoolGeometry(Maps(5, 7, 6), 3, 2, -1, 4, 4),
    "far outside": PoolGeometry(Maps(2, 5, 4), 3, 2, -4, 5, 4),
    "begins inside": PoolGeometry(Maps(3, 7, 8), 2, 2, 2, 3, 3),
    "gaps": PoolGeometry(Maps(2, 8, 9), 2, 3, 1, 3, 3),
    "every pixel": PoolGeometry(Maps(4, 5, 6), 4, 1, 0, 2, 3),
    "single pixels": PoolGeometry(Maps(19, 4, 5), 1, 1, 0, 4, 5),
    "larger than the image": PoolGeometry(Maps(3, 3, 2), 5, 2, -1, 2, 2),
    "fewer outputs": PoolGeometry(Maps(3, 9, 9), 3, 2, 0, 2, 3),
    "more outputs": PoolGeometry(Maps(3, 5, 6), 3, 2, 0, 5, 4),
}
TOLERANCE = {"float64": 1e-13, "float32": 2e-6}


@pytest.fixture(params=GEOMETRIES)
def geometry(request: pytest.FixtureRequest) -> PoolGeometry:
    return GEOMETRIES[request.param]


@pytest.fixture
def dev() -> CpuDevice:
    return CpuDevice(threads=2)


def arrays(g: PoolGeometry, dtype: str, n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """x with many ties, all below 0, and dy."""
    rng = np.random.default_rng(n)
    x = rng.integers(-9, 0, (n, g.maps.y, g.maps.x, g.maps.channels)).astype(dtype) / 4
    return x, rng.normal(size=(n, g.outputs_y, g.outputs_x, g.maps.channels)).astype(dtype)


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fprop(dev: CpuDevice, geometry: PoolGeometry, kind: str, dtype: str) -> None:
    x, dy = arrays(geometry, dtype)
    y = np.full_like(dy, np.nan)
    getattr(cpu, f"fprop_{kind}")(dev, x, y, geometry)()
    np.testing.assert_allclose(y, reference_pool.fprop(kind, x, geometry), rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bprop(dev: CpuDevice, geometry: PoolGeometry, kind: str, accumulate: bool, dtype: str) -> None:
    x, dy = arrays(geometry, dtype)
    dx = np.random.default_rng(5).normal(size=x.shape).astype(dtype) if accumulate else np.full_like(x, np.nan)
    expected = reference_pool.bprop(kind, dy, x, geometry) + (dx if accumulate else 0)
    if kind == "max":
        y = reference_pool.fprop(kind, x, geometry).astype(dtype)
        cpu.bprop_max(dev, dy, x, y, dx, geometry, accumulate=accumulate)()
    else:
        cpu.bprop_avg(dev, dy, dx, geometry, accumulate=accumulate)()
    np.testing.assert_allclose(dx, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_gradient_by_differences(dev: CpuDevice, geometry: PoolGeometry, kind: str) -> None:
    generator = np.random.default_rng(8)
    _, dy = arrays(geometry, "float64")
    x = generator.permutation(dy.shape[0] * geometry.maps.features).astype(np.float64)  # no two values are near
    x = x.reshape(len(dy), geometry.maps.y, geometry.maps.x, geometry.maps.channels)
    direction = generator.uniform(-0.4, 0.4, x.shape)
    up, down, y, dx = np.empty_like(dy), np.empty_like(dy), np.empty_like(dy), np.empty_like(x)
    fprop = getattr(cpu, f"fprop_{kind}")
    for source, target in ((x + direction, up), (x - direction, down), (x, y)):
        fprop(dev, source, target, geometry)()
    if kind == "max":
        cpu.bprop_max(dev, dy, x, y, dx, geometry, accumulate=False)()
    else:
        cpu.bprop_avg(dev, dy, dx, geometry, accumulate=False)()
    np.testing.assert_allclose(np.sum(dx * direction), np.sum(dy * (up - down) / 2), rtol=1e-10)


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_alexnets_pooling_is_pytorchs(torch: Any, dev: CpuDevice, kind: str) -> None:
    geometry = PoolGeometry(Maps(5, 13, 11), 3, 2, 0, 6, 5)
    x = torch.randn(2, 13, 11, 5, dtype=torch.float64, generator=torch.manual_seed(3), requires_grad=True)
    pool = torch.nn.MaxPool2d(3, 2) if kind == "max" else torch.nn.AvgPool2d(3, 2)
    expected = pool(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    dy = np.random.default_rng(4).normal(size=expected.shape)
    (gradient,) = torch.autograd.grad(expected, x, torch.tensor(dy))
    values = x.detach().numpy()
    y, dx = np.empty(expected.shape), np.empty(values.shape)
    getattr(cpu, f"fprop_{kind}")(dev, values, y, geometry)()
    own = (values, y) if kind == "max" else ()
    getattr(cpu, f"bprop_{kind}")(dev, dy, *own, dx, geometry, accumulate=False)()
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-13)
    np.testing.assert_allclose(dx, gradient.numpy(), rtol=1e-12, atol=1e-14)


def test_not_a_number_and_infinity_are_seen(dev: CpuDevice) -> None:
    geometry = PoolGeometry(Maps(1, 2, 8), 2, 2, 0, 1, 4)
    nan, inf = np.nan, np.inf
    x = np.array([[nan, 1, 1, 1, -inf, -inf, inf, 1], [1, 1, 1, nan, -inf, -inf, 1, 1]]).reshape(1, 2, 8, 1)
    y = np.empty((1, 1, 4, 1))
    cpu.fprop_max(dev, x, y, geometry)()
    np.testing.assert_array_equal(y.reshape(-1), [nan, nan, -inf, inf])


def test_outputs() -> None:
    for image, size, stride, start in itertools.product(range(1, 9), range(1, 6), range(1, 4), range(-2, 2)):
        assert outputs(image, size, stride, start) == math.ceil((image - start - size) / stride) + 1
    assert outputs(55, 3, 2, 0) == 27
    assert outputs(32, 3, 2, 0) == 16


def test_the_output_has_the_maps_of_the_input() -> None:
    assert GEOMETRIES["overhang"].output == Maps(3, 4, 5)


def test_arrays_that_do_not_fit(dev: CpuDevice) -> None:
    geometry = GEOMETRIES["overlapping"]
    x, y = arrays(geometry, "float32")
    for wrong_x, wrong_y in ((x, y[1:]), (x, y[..., :6]), (x[:, 1:], y), (x.reshape(3, 7, 9, 7), y)):
        with pytest.raises(ValueError, match="pool: expected an array of shape"):
            cpu.fprop_max(dev, wrong_x, wrong_y, geometry)
        with pytest.raises(ValueError, match="pool: expected an array of shape"):
            cpu.bprop_avg(dev, wrong_y, wrong_x, geometry, accumulate=False)
