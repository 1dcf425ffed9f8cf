"""Pooling against loops in float64, over overhang, gaps, windows outside the image and ties."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.pool import PoolGeometry, outputs
from convnet.shape import Maps

from . import reference_pool
from .conftest import Run

# maps (channels, y, x), size, stride, start, outputs y, outputs x. A GPU takes 8 or 16 channels in packs of 16 bytes.
GEOMETRIES = {
    "overlapping": PoolGeometry(Maps(7, 9, 7), 3, 2, 0, 4, 3),
    "overhang": PoolGeometry(Maps(16, 8, 10), 3, 2, 0, 4, 5),
    "begins outside": PoolGeometry(Maps(5, 7, 6), 3, 2, -1, 4, 4),
    "far outside": PoolGeometry(Maps(8, 5, 4), 3, 2, -4, 5, 4),
    "begins inside": PoolGeometry(Maps(3, 7, 8), 2, 2, 2, 3, 3),
    "gaps": PoolGeometry(Maps(8, 8, 9), 2, 3, 1, 3, 3),
    "every pixel": PoolGeometry(Maps(4, 5, 6), 4, 1, 0, 2, 3),
    "single pixels": PoolGeometry(Maps(19, 4, 5), 1, 1, 0, 4, 5),
    "larger than the image": PoolGeometry(Maps(3, 3, 2), 5, 2, -1, 2, 2),
    "fewer outputs": PoolGeometry(Maps(3, 9, 9), 3, 2, 0, 2, 3),
    "more outputs": PoolGeometry(Maps(3, 5, 6), 3, 2, 0, 5, 4),
}
TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 2**-8}  # bfloat16: half of it is rounding once


KINDS = ["max", "maxabs", "avg", "sum"]
TORCH = {"max": "MaxPool2d", "avg": "AvgPool2d"}


@pytest.fixture(params=GEOMETRIES)
def geometry(request: pytest.FixtureRequest) -> PoolGeometry:
    return GEOMETRIES[request.param]


def arrays(g: PoolGeometry, dtype: Any, n: int = 3, highest: int = -1) -> tuple[np.ndarray, np.ndarray]:
    """x with many ties, all below 0 unless `highest` says otherwise, and dy."""
    rng = np.random.default_rng(n)
    x = (rng.integers(-9, highest + 1, (n, g.maps.y, g.maps.x, g.maps.channels)) / 4).astype(dtype)
    return x, rng.normal(size=(n, g.outputs_y, g.outputs_x, g.maps.channels)).astype(dtype)


def bprop(run: Run, kind: str, dy: np.ndarray, x: np.ndarray, dx: np.ndarray, g: PoolGeometry, **options: bool) -> None:
    """Dx of any kind."""
    if kind in ("max", "maxabs"):
        run("pool.bprop_max", dy, x, reference_pool.fprop(kind, x, g).astype(x.dtype), dx, g, **options)
    else:
        run(f"pool.bprop_{kind}", dy, dx, g, **options)


def highest(kind: str) -> int:
    """Numbers of both signs for maxabs, numbers below 0 for all others."""
    return 9 if kind == "maxabs" else -1


def check_fprop(run: Run, kind: str, geometry: PoolGeometry, cases: int = 3) -> None:
    x, dy = arrays(geometry, run.dtype, cases, highest(kind))
    y = np.full_like(dy, np.nan)
    run(f"pool.fprop_{kind}", x, y, geometry)
    expected = reference_pool.fprop(kind, x, geometry)
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=TOLERANCE[run.dtype.name])


def check_bprop(run: Run, kind: str, geometry: PoolGeometry, accumulate: bool, cases: int = 3) -> None:
    x, dy = arrays(geometry, run.dtype, cases, highest(kind))
    dx = np.random.default_rng(5).normal(size=x.shape).astype(run.dtype) if accumulate else np.full_like(x, np.nan)
    expected = reference_pool.bprop(kind, dy, x, geometry) + (dx.astype(np.float64) if accumulate else 0)
    bprop(run, kind, dy, x, dx, geometry, accumulate=accumulate)
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(dx.astype(np.float64), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_fprop(run: Run, geometry: PoolGeometry, kind: str) -> None:
    check_fprop(run, kind, geometry)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop(run: Run, geometry: PoolGeometry, kind: str, accumulate: bool) -> None:
    check_bprop(run, kind, geometry, accumulate)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_more_rows_than_blocks_and_more_columns_than_threads(
    cuda_device: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(cuda_device("fp32"), np.float32, "fp32")
    monkeypatch.setattr("convnet.backends.cuda.grid._BLOCKS", 2)
    geometry = PoolGeometry(Maps(7, 4, 80), 3, 2, -1, 2, 40)
    check_fprop(run, kind, geometry, cases=2)
    check_bprop(run, kind, geometry, accumulate=True, cases=2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_each_time(run: Run, kind: str) -> None:
    geometry, results = GEOMETRIES["overhang"], []
    x, dy = arrays(geometry, run.dtype)
    for _ in range(2):
        y, dx = np.full_like(dy, np.nan), np.full_like(x, np.nan)
        run(f"pool.fprop_{kind}", x, y, geometry)
        bprop(run, kind, dy, x, dx, geometry, accumulate=False)
        results.append((y.tobytes(), dx.tobytes()))
    assert results[0] == results[1]


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_by_differences(geometry: PoolGeometry, kind: str) -> None:
    run, generator = Run(CpuDevice(threads=2), np.float64), np.random.default_rng(8)
    _, dy = arrays(geometry, np.float64)
    x = generator.permutation(dy.shape[0] * geometry.maps.features) + 1.0  # no two values are near
    if kind == "maxabs":
        x *= generator.choice([-1, 1], x.size)
    x = x.reshape(len(dy), geometry.maps.y, geometry.maps.x, geometry.maps.channels)
    direction = generator.uniform(-0.4, 0.4, x.shape)
    up, down, dx = np.empty_like(dy), np.empty_like(dy), np.empty_like(x)
    for source, target in ((x + direction, up), (x - direction, down)):
        run(f"pool.fprop_{kind}", source, target, geometry)
    bprop(run, kind, dy, x, dx, geometry, accumulate=False)
    np.testing.assert_allclose(np.sum(dx * direction), np.sum(dy * (up - down) / 2), rtol=1e-10)


@pytest.mark.peer
@pytest.mark.parametrize("kind", TORCH)
def test_alexnets_pooling_is_pytorchs(torch: Any, kind: str) -> None:
    run, geometry = Run(CpuDevice(threads=2), np.float64), PoolGeometry(Maps(5, 13, 11), 3, 2, 0, 6, 5)
    x = torch.randn(2, 13, 11, 5, dtype=torch.float64, generator=torch.manual_seed(3), requires_grad=True)
    pool = getattr(torch.nn, TORCH[kind])(3, 2)
    expected = pool(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    dy = np.random.default_rng(4).normal(size=expected.shape)
    (gradient,) = torch.autograd.grad(expected, x, torch.tensor(dy))
    values = x.detach().numpy()
    y, dx = np.empty(expected.shape), np.empty(values.shape)
    run(f"pool.fprop_{kind}", values, y, geometry)
    bprop(run, kind, dy, values, dx, geometry, accumulate=False)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-13)
    np.testing.assert_allclose(dx, gradient.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("channels", [1, 8])
def test_not_a_number_and_infinity_are_seen(run: Run, channels: int) -> None:
    geometry = PoolGeometry(Maps(channels, 2, 8), 2, 2, 0, 1, 4)
    nan, inf = np.nan, np.inf
    pixels = np.array([[nan, 1, 1, 1, -inf, -inf, inf, 1], [1, 1, 1, nan, -inf, -inf, 1, 1]])
    x = np.repeat(pixels.reshape(1, 2, 8, 1), channels, axis=3).astype(run.dtype)
    y, dx = np.empty((1, 1, 4, channels), run.dtype), np.empty_like(x)
    run("pool.fprop_max", x, y, geometry)
    run("pool.bprop_max", np.ones_like(y), x, y, dx, geometry, accumulate=False)
    for channel in range(channels):
        np.testing.assert_array_equal(y[0, 0, :, channel].astype(float), [nan, nan, -inf, inf])
        np.testing.assert_array_equal(
            dx[0, :, :, channel].astype(float), [[0, 0, 0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 1, 1, 0, 0]]
        )


def test_of_a_number_and_its_negative_the_positive_one_is_farthest_from_0(run: Run) -> None:
    """Wherever it stands; and NaN, wherever it stands."""
    geometry, nan = PoolGeometry(Maps(1, 2, 8), 2, 2, 0, 1, 4), np.nan
    pixels = np.array([[-3, 2, 1, 3, nan, -9, 1, -9], [3, 1, -1, -3, 9, 1, 9, nan]])
    x, y = pixels.reshape(1, 2, 8, 1).astype(run.dtype), np.empty((1, 1, 4, 1), run.dtype)
    dx = np.empty_like(x)
    run("pool.fprop_maxabs", x, y, geometry)
    run("pool.bprop_max", np.ones_like(y), x, y, dx, geometry, accumulate=False)
    np.testing.assert_array_equal(y.astype(float).ravel(), [3, 3, nan, nan])
    np.testing.assert_array_equal(dx[0, ..., 0].astype(float), [[0, 0, 0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]])


def test_outputs() -> None:
    for image, size, stride, start in itertools.product(range(1, 9), range(1, 6), range(1, 4), range(-2, 2)):
        assert outputs(image, size, stride, start) == math.ceil((image - start - size) / stride) + 1
    assert outputs(55, 3, 2, 0) == 27
    assert outputs(32, 3, 2, 0) == 16


def test_the_output_has_the_maps_of_the_input() -> None:
    assert GEOMETRIES["overhang"].output == Maps(16, 4, 5)


def test_arrays_that_do_not_fit(run: Run) -> None:
    geometry = GEOMETRIES["overlapping"]
    x, y = arrays(geometry, run.dtype)
    for wrong_x, wrong_y in ((x, y[1:]), (x, y[..., :6]), (x[:, 1:], y), (x.reshape(3, 7, 9, 7), y)):
        with pytest.raises(ValueError, match="pool: expected an array of shape"):
            run("pool.fprop_max", wrong_x, wrong_y, geometry)
        with pytest.raises(ValueError, match="pool: expected an array of shape"):
            run("pool.bprop_avg", wrong_y, wrong_x, geometry, accumulate=False)
