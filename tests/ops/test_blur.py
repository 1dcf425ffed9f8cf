"""Blurring against loops in float64 over both axes at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.blur import Blur

from .conftest import Run

# Shape (n, y, x, channel) and blur. 32 lines are a strip on a GPU; it takes 8 or 16 channels in packs of 16 bytes.
CASES = {
    "small": ((3, 5, 7, 3), Blur(3, 0.8)),
    "wide": ((2, 9, 11, 5), Blur(9, 2.0)),
    "packs": ((2, 7, 6, 16), Blur(5, 1.0)),
    "packs, wide": ((2, 10, 9, 8), Blur(7, 3.0)),
    "several strips": ((2, 67, 4, 3), Blur(7, 1.5)),
    "whole strips": ((1, 64, 3, 8), Blur(9, 1.5)),
    "wider than the image": ((2, 3, 2, 3), Blur(9, 5.0)),
}
# Relative to the largest number; bfloat16: half of it is rounding once.
TOLERANCE = {"float64": 1e-14, "float32": 1e-6, "bfloat16": 2**-8}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[tuple[int, ...], Blur]:
    return CASES[request.param]


def reference(x: np.ndarray, blur: Blur) -> np.ndarray:
    """The contract's sum over all taps of both axes."""
    middle = blur.size // 2
    taps = np.exp(-((np.arange(blur.size) - middle) ** 2) / (2 * blur.stdev**2))
    taps /= taps.sum()
    padded = np.pad(x.astype(np.float64), ((0, 0), (middle, middle), (middle, middle), (0, 0)))
    height, width = x.shape[1:3]
    windows = ((k, m, padded[:, k : k + height, m : m + width])
               for k in range(blur.size) for m in range(blur.size))  # fmt: skip
    return sum((taps[k] * taps[m] * window for k, m, window in windows), np.zeros(x.shape))


def check(run: Run, shape: tuple[int, ...], blur: Blur, accumulate: bool) -> None:
    rng = np.random.default_rng(4)
    x, before = (rng.normal(size=shape).astype(run.dtype) for _ in range(2))
    y = before.copy() if accumulate else np.full_like(x, np.nan)
    expected = reference(x, blur) + (before.astype(np.float64) if accumulate else 0)
    run("blur.apply", x, y, blur, accumulate=accumulate)
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=tolerance, atol=tolerance / 4)


@pytest.mark.parametrize("accumulate", [False, True])
def test_apply(run: Run, case: tuple[tuple[int, ...], Blur], accumulate: bool) -> None:
    check(run, *case, accumulate)


@pytest.mark.gpu
def test_more_rows_than_blocks_and_more_columns_than_threads(cuda_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convnet.backends.cuda.grid._BLOCKS", 2)
    check(Run(cuda_device("fp32"), np.float32, "fp32"), (3, 4, 90, 3), Blur(3, 1.0), accumulate=True)


def test_the_same_bits_each_time(run: Run) -> None:
    x = np.random.default_rng(4).normal(size=(2, 9, 7, 8)).astype(run.dtype)
    results = []
    for _ in range(2):
        y = np.full_like(x, np.nan)
        run("blur.apply", x, y, Blur(5, 1.0), accumulate=False)
        results.append(y.tobytes())
    assert results[0] == results[1]


def test_the_backward_pass_is_the_transpose(case: tuple[tuple[int, ...], Blur]) -> None:
    """The sum of dy blur(x) is that of blur(dy) x."""
    shape, blur = case
    run, rng = Run(CpuDevice(threads=2), np.float64), np.random.default_rng(8)
    x, dy = (rng.normal(size=shape) for _ in range(2))
    y, dx = np.empty(shape), np.empty(shape)
    run("blur.apply", x, y, blur, accumulate=False)
    run("blur.apply", dy, dx, blur, accumulate=False)
    np.testing.assert_allclose(np.sum(dx * x), np.sum(dy * y), rtol=1e-12)


def test_taps() -> None:
    """For a standard deviation of 1: e^-2, e^-1/2 and 1, divided by the sum of all."""
    expected = [0.05448868, 0.24420134, 0.40261995, 0.24420134, 0.05448868]
    np.testing.assert_allclose(Blur(5, 1.0).taps, expected, rtol=1e-6)
    for tiny in (1e-200, 5e-324):
        assert Blur(9, tiny).taps == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert math.isclose(sum(Blur(7, 1e200).taps), 1)


def test_arrays_that_do_not_fit(run: Run) -> None:
    x = np.zeros((3, 5, 4, 2), run.dtype)
    for y in (x[1:], x[:, 1:], x.reshape(3, 4, 5, 2)):
        with pytest.raises(ValueError, match="blur: expected images of one shape"):
            run("blur.apply", x, y, Blur(3, 1.0), accumulate=False)
