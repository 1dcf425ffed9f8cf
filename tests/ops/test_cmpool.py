"""Pooling across maps against loops in float64, over overhang, gaps, windows outside and ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.cmpool import ChannelWindows

from .conftest import Run

# channels, outputs, windows. A GPU takes 8 or 16 channels or outputs in packs of 16 bytes.
WINDOWS = {
    "overlapping": (7, 3, ChannelWindows(3, 2, 0)),
    "overhang": (16, 8, ChannelWindows(3, 2, 0)),
    "begins before": (5, 4, ChannelWindows(3, 2, -2)),
    "packs of both": (8, 16, ChannelWindows(4, 1, -3)),
    "gaps": (11, 3, ChannelWindows(2, 4, 1)),
    "all channels": (13, 1, ChannelWindows(13, 5, 0)),
    "single channels": (9, 9, ChannelWindows(1, 1, 0)),
    "outside on both sides": (3, 8, ChannelWindows(2, 1, -3)),
}
SHAPE = (3, 5, 7)  # cases, y, x


def windows_of(name: str) -> list[list[int]]:
    """The channels in each output's window."""
    channels, outputs, w = WINDOWS[name]
    return [
        [c for c in range(w.start + o * w.stride, w.start + o * w.stride + w.size) if 0 <= c < channels]
        for o in range(outputs)
    ]


def arrays(name: str, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """x with many ties, all below 0, and dy."""
    rng, (channels, outputs, _) = np.random.default_rng(3), WINDOWS[name]
    return (rng.integers(-9, 0, (*SHAPE, channels)) / 4).astype(dtype), rng.normal(size=(*SHAPE, outputs)).astype(dtype)


def reference(x: np.ndarray, name: str) -> np.ndarray:
    """y in the type of x: maxima are not rounded."""
    none = np.zeros(SHAPE, x.dtype)
    return np.stack([x[..., window].max(axis=-1) if window else none for window in windows_of(name)], axis=-1)


def reference_gradient(dy: np.ndarray, x: np.ndarray, name: str) -> np.ndarray:
    """The gradient with respect to x, in float64; every channel equal to the maximum gets all of dy."""
    dx, y = np.zeros(x.shape), reference(x, name)
    for output, window in enumerate(windows_of(name)):
        for channel in window:
            dx[..., channel] += np.where(x[..., channel] == y[..., output], dy[..., output].astype(float), 0)
    return dx


@pytest.mark.parametrize("name", WINDOWS)
def test_fprop(run: Run, name: str) -> None:
    x, y = arrays(name, run.dtype)
    y[:] = np.nan
    run("cmpool.fprop_max", x, y, WINDOWS[name][2])
    np.testing.assert_array_equal(y.astype(float), reference(x, name).astype(float))


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("name", WINDOWS)
def test_bprop(run: Run, name: str, accumulate: bool) -> None:
    x, dy = arrays(name, run.dtype)
    dx = np.random.default_rng(5).normal(size=x.shape).astype(run.dtype) if accumulate else np.full_like(x, np.nan)
    expected = reference_gradient(dy, x, name) + (dx.astype(float) if accumulate else 0)
    run("cmpool.bprop_max", dy, x, reference(x, name), dx, WINDOWS[name][2], accumulate=accumulate)
    tolerance = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 2**-8}[run.dtype.name]  # bfloat16: rounded once
    np.testing.assert_allclose(dx.astype(float), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
def test_more_pixels_than_blocks_and_more_channels_than_threads(
    cuda_device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(cuda_device("fp32"), np.float32, "fp32")
    monkeypatch.setattr("convnet.backends.cuda.grid._BLOCKS", 2)
    monkeypatch.setitem(WINDOWS, "many", (521, 260, ChannelWindows(3, 2, 0)))
    test_fprop(run, "many")
    test_bprop(run, "many", accumulate=True)


@pytest.mark.parametrize("channels", [1, 8])
def test_not_a_number_and_infinity_are_seen(run: Run, channels: int) -> None:
    """A channel beside NaN, whichever side it is on."""
    x = np.full((1, 1, 2, 2 * channels), -np.inf, run.dtype)
    x[0, 0, 0, 0] = x[0, 0, 1, 1] = np.nan
    y, windows = np.empty((1, 1, 2, channels), run.dtype), ChannelWindows(2, 2, 0)
    run("cmpool.fprop_max", x, y, windows)
    assert np.isnan(y[..., 0].astype(float)).all()
    assert (y[..., 1:] == -np.inf).all()


def test_gradient_by_differences() -> None:
    run, generator = Run(CpuDevice(threads=2), np.float64), np.random.default_rng(8)
    for name, (_, _, windows) in WINDOWS.items():
        x, dy = arrays(name, np.float64)
        x = generator.permutation(x.size).reshape(x.shape).astype(float)  # no two values are near
        direction = generator.uniform(-0.4, 0.4, x.shape)
        up, down, dx = np.empty_like(dy), np.empty_like(dy), np.empty_like(x)
        for source, target in ((x + direction, up), (x - direction, down)):
            run("cmpool.fprop_max", source, target, windows)
        run("cmpool.bprop_max", dy, x, reference(x, name), dx, windows, accumulate=False)
        np.testing.assert_allclose(np.sum(dx * direction), np.sum(dy * (up - down) / 2), rtol=1e-10, err_msg=name)


def test_arrays_that_do_not_fit(run: Run) -> None:
    x, y = arrays("overlapping", run.dtype)
    windows = WINDOWS["overlapping"][2]
    for wrong_x, wrong_y in ((x, y[1:]), (x[:, 1:], y)):
        with pytest.raises(ValueError, match="cmpool: arrays differ"):
            run("cmpool.fprop_max", wrong_x, wrong_y, windows)
    with pytest.raises(ValueError, match="cmpool: arrays differ"):
        run("cmpool.bprop_max", y[..., 1:], x, y, x, windows, accumulate=False)
