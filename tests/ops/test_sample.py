"""Samples of images against slices: nails, windows, mirrors, and what no layer asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet.ops.sample import SampleGeometry
from convnet.shape import Maps

from .conftest import Run

# A GPU takes 8 or 16 channels in packs of 16 bytes.
GEOMETRIES = {
    "nails": SampleGeometry(Maps(7, 8, 11), 1, 0, 3, 3, 3, 4),
    "nails of packs": SampleGeometry(Maps(16, 7, 5), 0, 1, 3, 2, 3, 2),
    "one nail": SampleGeometry(Maps(3, 5, 4), 2, 1, 9, 9, 1, 1),
    "window": SampleGeometry(Maps(3, 7, 6), 2, 1, 1, 1, 4, 4),
    "window at the end": SampleGeometry(Maps(8, 6, 7), 3, 4, 1, 1, 3, 3),
    "mirror": SampleGeometry(Maps(3, 4, 7), 0, 6, 1, -1, 4, 7),
    "mirror of packs": SampleGeometry(Maps(24, 3, 6), 0, 5, 1, -1, 3, 6),
    "backwards along both": SampleGeometry(Maps(5, 9, 8), 7, 6, -2, -3, 4, 3),
}


@pytest.fixture(params=GEOMETRIES)
def geometry(request: pytest.FixtureRequest) -> SampleGeometry:
    return GEOMETRIES[request.param]


def places(g: SampleGeometry) -> tuple[Any, ...]:
    """What to index an array (n, y, x, channel) with."""
    rows, columns = (np.arange(count) * step + start for start, step, count in (
        (g.start_y, g.step_y, g.outputs_y), (g.start_x, g.step_x, g.outputs_x)))  # fmt: skip
    return (slice(None), rows[:, None], columns)


def arrays(g: SampleGeometry, dtype: Any, n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """x and dy."""
    rng = np.random.default_rng(n)
    shapes = [(n, maps.y, maps.x, maps.channels) for maps in (g.maps, g.output)]
    x, dy = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    return x, dy


def check_fprop(run: Run, g: SampleGeometry, n: int = 3) -> None:
    x, dy = arrays(g, run.dtype, n)
    y = np.full_like(dy, np.nan)
    run("sample.fprop", x, y, g)
    np.testing.assert_array_equal(y.astype(float), x[places(g)].astype(float))


def check_bprop(run: Run, g: SampleGeometry, accumulate: bool, n: int = 3) -> None:
    x, dy = arrays(g, run.dtype, n)
    dx = x.copy() if accumulate else np.full_like(x, np.nan)
    # A sum of two numbers is rounded once, from a type in which it is exact or nearly so.
    expected = x.astype(np.float64) if accumulate else np.zeros(x.shape)
    expected[places(g)] += dy.astype(np.float64)
    run("sample.bprop", dy, dx, g, accumulate=accumulate)
    np.testing.assert_array_equal(dx.astype(float), expected.astype(run.dtype).astype(float))


def test_fprop(run: Run, geometry: SampleGeometry) -> None:
    check_fprop(run, geometry)


@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop(run: Run, geometry: SampleGeometry, accumulate: bool) -> None:
    check_bprop(run, geometry, accumulate)


@pytest.mark.gpu
def test_more_rows_than_blocks_and_more_columns_than_threads(cuda_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(cuda_device("fp32"), np.float32, "fp32")
    monkeypatch.setattr("convnet.backends.cuda.grid._BLOCKS", 2)
    # 37 times 7 columns: the last block has threads without one.
    geometry = SampleGeometry(Maps(7, 4, 80), 0, 79, 1, -2, 4, 37)
    check_fprop(run, geometry, n=2)
    check_bprop(run, geometry, accumulate=True, n=2)


def test_the_same_bits_each_time(run: Run) -> None:
    geometry, results = GEOMETRIES["nails"], []
    x, dy = arrays(geometry, run.dtype)
    for _ in range(2):
        y, dx = np.full_like(dy, np.nan), np.full_like(x, np.nan)
        run("sample.fprop", x, y, geometry)
        run("sample.bprop", dy, dx, geometry, accumulate=False)
        results.append((y.tobytes(), dx.tobytes()))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "numbers", [(-1, 0, 1, 1, 3, 3), (0, 0, 1, 2, 3, 4), (0, 2, 1, -1, 3, 4), (0, 0, 0, 1, 3, 3), (0, 0, 1, 1, 0, 3)]
)
def test_pixels_that_are_not_there(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"sample: .* pixels from .* are not in . pixels"):
        SampleGeometry(Maps(3, 5, 6), *numbers)


def test_arrays_that_do_not_fit(run: Run) -> None:
    geometry = GEOMETRIES["window"]
    x, dy = arrays(geometry, run.dtype)
    for wrong_x, wrong_y in ((x, dy[1:]), (x, dy[..., :2]), (x[:, 1:], dy), (x.reshape(3, 6, 7, 3), dy)):
        with pytest.raises(ValueError, match="sample: expected an array of shape"):
            run("sample.fprop", wrong_x, wrong_y, geometry)
        with pytest.raises(ValueError, match="sample: expected an array of shape"):
            run("sample.bprop", wrong_y, wrong_x, geometry, accumulate=False)
