"""Stored images become activations: the numbers of float64, and the very bits of the host's way."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends import DeviceOptions, open_device
from convnet.pixels import Pixels

from .conftest import Run

# A GPU takes 4 or 8 values at once where a case has a multiple of them. In the last ones threads are left over.
SHAPES = [
    (3, 5, 7, 3), (3, 5, 7, 1), (2, 4, 6, 3), (2, 2, 2, 1), (5, 2, 2, 2), (1, 1, 1, 1), (3, 4, 2, 5), (2, 8, 5, 9),
    (23, 3, 4, 3), (2, 263, 1, 1), (2, 21, 17, 4), (2, 19, 17, 8),
]  # fmt: skip


def problem(shape: tuple[int, ...], run: Run, seed: int = 4) -> tuple[np.ndarray, ...]:
    """Values with 0 and 255 among them; mean and shifts under which the order of the sum can be told."""
    random = np.random.default_rng(seed)
    values = random.choice([0, 1, 7, 100, 128, 254, 255], shape).astype(np.uint8)
    mean = random.uniform(90, 140, shape[1:]).astype(run.weights)
    shifts = (random.normal(size=(shape[0], shape[3])) * 10).astype(run.weights)
    return values, mean, shifts, np.full(shape, np.nan, run.dtype)


@pytest.mark.parametrize("shape", SHAPES)
def test_value_by_value_in_float64(run: Run, shape: tuple[int, ...]) -> None:
    values, mean, shifts, y = problem(shape, run)
    before = [array.copy() for array in (values, mean, shifts)]
    run("pixels.normalize", values, mean, shifts, y)
    expected = np.empty(shape)
    for n, i, j, c in np.ndindex(shape):
        expected[n, i, j, c] = float(values[n, i, j, c]) - float(mean[i, j, c]) + float(shifts[n, c])
    # Each of two roundings is half a unit of numbers up to 256; bfloat16 rounds once more.
    rounding = {"float64": 2.0**-45, "float32": 2.0**-16, "bfloat16": 2.0**-16}[run.dtype.name]
    relative = {"float64": 0.0, "float32": 0.0, "bfloat16": 2.0**-8}[run.dtype.name]
    np.testing.assert_allclose(y.astype(float), expected, rtol=relative, atol=rounding)
    for array, kept in zip((values, mean, shifts), before, strict=True):
        np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_bits_of_the_hosts_way(run: Run, shape: tuple[int, ...]) -> None:
    """That computes in float32 whatever the net's type; in float64, bits are NumPy's."""
    values, mean, shifts, y = problem(shape, run)
    run("pixels.normalize", values, mean, shifts, y)
    expected = values - mean + shifts[:, None, None]
    if run.weights == np.float32:
        np.testing.assert_array_equal(Pixels(values, shifts).normalized(mean), expected)
        if len(expected.ravel()) > 200:
            other_order = values + (shifts[:, None, None] - mean)
            assert (expected != other_order).mean() > 0.05, "any order would pass"
    assert y.tobytes() == expected.astype(run.dtype).tobytes()


def test_more_images_than_threads(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's threads then take several, as with a grid that is this small."""
    if run.device.backend == "cuda":
        monkeypatch.setattr("convnet.backends.cuda.grid._BLOCKS", 1)
    for shape in ((700, 1, 1, 3), (700, 2, 2, 2)):
        values, mean, shifts, y = problem(shape, run)
        run("pixels.normalize", values, mean, shifts, y)
        assert y.tobytes() == (values - mean + shifts[:, None, None]).astype(run.dtype).tobytes()


def test_without_shifts(run: Run) -> None:
    """Zeros stand for none, and a value that is its mean gives 0, not -0."""
    values, mean, shifts, y = problem((3, 4, 5, 3), run)
    mean[1], shifts[:] = 7, 0
    run("pixels.normalize", values, mean, shifts, y)
    assert y.tobytes() == Pixels(values).normalized(mean).astype(run.dtype).tobytes() or run.weights == np.float64
    assert not np.signbit(y[y == 0]).any()
    assert (y == 0).any()


def test_rows_of_a_case_in_several_parts() -> None:
    """A part of the work that begins in the middle of an image has the shifts of that image."""
    run = Run(open_device(DeviceOptions("cpu", threads=5)), np.float32)
    values, mean, shifts, y = problem((2, 6, 2, 3), run)
    run("pixels.normalize", values, mean, shifts, y)
    assert y.tobytes() == Pixels(values, shifts).normalized(mean).tobytes()


def test_the_same_bits_each_time(run: Run) -> None:
    results = []
    for _ in range(2):
        values, mean, shifts, y = problem((5, 3, 8, 3), run)
        run("pixels.normalize", values, mean, shifts, y)
        results.append(y.tobytes())
    assert results[0] == results[1]


def test_arrays_that_do_not_fit(run: Run) -> None:
    values, mean, shifts, y = problem((2, 4, 5, 3), run)
    wrong = [
        (values[1:], mean, shifts, y), (values, mean[1:], shifts, y), (values, mean, shifts[1:], y),
        (values, mean, shifts[:, 1:], y), (values, mean.reshape(-1), shifts, y), (values, mean, shifts, y[:, 1:]),
        (values.reshape(2, 60), mean.reshape(60), shifts, y.reshape(2, 60)),
    ]  # fmt: skip
    for arrays in wrong:
        with pytest.raises(ValueError, match="pixels: expected images of one shape, their mean and a shift of each"):
            run("pixels.normalize", *map(np.ascontiguousarray, arrays))
