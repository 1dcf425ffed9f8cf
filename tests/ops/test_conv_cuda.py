"""Every way to compute a convolution on a GPU, by name, against loops in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from convnet.backends import DeviceOptions, open_device
from convnet.ops.conv import ConvGeometry
from convnet.ops.neuron import IDENT, NeuronFunction
from convnet.shape import Maps
from tests.virtual_gpu import controls

from . import reference_conv
from .conftest import Run
from .conv_checks import CUBLAS_TF32, Expected, check

WAYS = {
    "fp32": ["128x128", "128x96", "128x64", "64x64", "im2col"],
    "tf32": ["256x128", "128x128", "128x96", "128x64", "64x64", "im2col"],
    "bf16": ["256x128", "128x128", "128x96", "128x64", "64x64", "im2col"],
}
# maps (channels, y, x), filters, filter size, padding, stride, groups, modules y, modules x; and the number of cases.
GEOMETRIES = {
    # More rows, columns and steps than any tile has, none of them a multiple of it; copies of 16 bytes.
    "several tiles": (ConvGeometry(Maps(24, 9, 10), 136, 3, 1, 1, 1, 9, 10), 4),
    "single numbers": (ConvGeometry(Maps(7, 9, 8), 13, 5, 2, 1, 1, 9, 8), 3),
    "groups, strides and overhang": (ConvGeometry(Maps(16, 11, 8), 48, 3, 2, 2, 2, 7, 6), 3),
    "depth of half a copy": (ConvGeometry(Maps(12, 6, 7), 24, 2, 0, 3, 3, 2, 3), 5),
    # Windows of few channels that are read by lines: padded, cut off on the right, more modules than fit.
    "lines": (ConvGeometry(Maps(3, 13, 16), 16, 11, 4, 4, 1, 4, 5), 1),
    "lines of four": (ConvGeometry(Maps(4, 7, 6), 9, 5, 2, 1, 1, 7, 7), 2),
    "many modules, few taps": (ConvGeometry(Maps(4, 20, 19), 8, 2, 0, 1, 1, 19, 18), 4),  # K is cut into parts
    "one by one": (ConvGeometry(Maps(32, 5, 6), 24, 1, 0, 1, 2, 5, 6), 4),
    "stride beyond the filter": (ConvGeometry(Maps(8, 7, 8), 16, 1, 1, 4, 1, 3, 2), 2),
}
TANH = NeuronFunction("tanh", 1.3, 0.4)  # steeper than 0.52 nowhere


@pytest.fixture(
    params=[pytest.param((p, w), id=f"{p}-{w}", marks=pytest.mark.gpu) for p, ways in WAYS.items() for w in ways]
)
def way(request: pytest.FixtureRequest) -> Way:
    precision, name = request.param
    device = request.getfixturevalue("cuda_device")(precision)
    return Way(Run(device, device.activations, precision), name)


class Way:
    """One candidate on one device."""

    def __init__(self, run: Run, name: str) -> None:
        self.run, self.name = run, name
        self.bounds = {"tf32": CUBLAS_TF32} if name == "im2col" else {}

    def __call__(
        self, direction: str, *arrays: np.ndarray | None, geometry: ConvGeometry, **options: Any
    ) -> np.ndarray:
        """What the last array holds afterwards. The workspace holds NaN before, as another operation might leave it."""
        from convnet.ops.conv import cuda

        device = self.run.device
        on_device = [None if array is None else to_device(device, array) for array in arrays]
        ways = getattr(cuda, direction).candidates(device, geometry, **options)
        launch = ways[self.name](*on_device)
        room = device.workspace.reserve((1 << 16,))()
        device.upload(np.full(room.shape, np.nan), room)
        launch()
        found: np.ndarray = device.download(on_device[-1])
        return found


def to_device(device: Any, array: np.ndarray) -> Any:
    copy = device.array(device.allocate(array.nbytes), 0, array.shape, array.dtype)
    device.upload(array, copy)
    return copy


def arrays(g: ConvGeometry, n: int, dtype: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, w, y of normal numbers."""
    rng = np.random.default_rng(n)
    shapes = ((n, g.maps.y, g.maps.x, g.maps.channels), (g.rows, g.filters), (n, g.modules_y, g.modules_x, g.filters))
    x, w, y = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    return x, w, y


@pytest.fixture(params=GEOMETRIES)
def shape(request: pytest.FixtureRequest) -> tuple[ConvGeometry, int]:
    return GEOMETRIES[request.param]


def test_fprop(way: Way, shape: tuple[ConvGeometry, int]) -> None:
    g, n = shape
    x, w, y = arrays(g, n, way.run.dtype)
    bias = np.random.default_rng(5).normal(size=y[0].shape).astype(np.float32)
    expected = Expected(reference_conv.fprop, x, w, g, g.rows)
    expected.add(y)
    expected.add(bias)
    found = way("FPROP", x, w, bias.reshape(-1), y, geometry=g, accumulate=True, neuron=TANH)
    check(way.run, found, expected, lambda v: 1.3 * np.tanh(0.4 * v), stored_between=way.name == "im2col", **way.bounds)


def test_nan_stays_in_the_windows_that_have_it(way: Way, shape: tuple[ConvGeometry, int]) -> None:
    """Zeros that fill up a tile are no zeros times what happens to lie beside a window."""
    g, n = shape
    x, w, y = arrays(g, n, way.run.dtype)
    x[0, g.maps.y // 2, g.maps.x // 2 - 1] = np.nan  # for "lines": the one right of the first window
    found = way("FPROP", x, w, None, y, geometry=g, accumulate=False, neuron=IDENT)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(reference_conv.fprop(x, w, g)))


def test_bprop_acts(way: Way, shape: tuple[ConvGeometry, int]) -> None:
    g, n = shape
    dx, w, dy = arrays(g, n, way.run.dtype)
    expected = Expected(reference_conv.bprop_acts, dy, w, g, g.filter_size**2 * g.filters // g.groups)
    check(way.run, way("BPROP_ACTS", dy, w, np.full_like(dx, np.nan), geometry=g, accumulate=False), expected,
          **way.bounds)  # fmt: skip
    expected.add(dx)
    check(way.run, way("BPROP_ACTS", dy, w, dx, geometry=g, accumulate=True), expected, **way.bounds)


def test_bprop_weights(way: Way, shape: tuple[ConvGeometry, int]) -> None:
    g, n = shape
    x, w, dy = arrays(g, n, way.run.dtype)
    dw = w.astype(np.float32)
    expected = Expected(reference_conv.bprop_weights, x, dy, g, n * g.modules)
    found = way("BPROP_WEIGHTS", x, dy, np.full_like(dw, np.nan), geometry=g, accumulate=False)
    check(way.run, found, expected, **way.bounds)
    again = way("BPROP_WEIGHTS", x, dy, np.full_like(dw, np.nan), geometry=g, accumulate=False)
    np.testing.assert_array_equal(again, found)
    expected.add(dw)
    check(way.run, way("BPROP_WEIGHTS", x, dy, dw, geometry=g, accumulate=True), expected, **way.bounds)


@cache
def opened_with_7_5() -> Any:
    """The device, while it has compute capability 7.5: kernels are compiled for that."""
    return open_device(DeviceOptions("cuda", tune=False))


@pytest.fixture
def card_of_7_5(cuda_device: Callable[[str], Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.config.option.markexpr == "gpu":
        pytest.skip("only the virtual GPU takes any compute capability")
    with controls.capability(75):
        yield opened_with_7_5()


@pytest.mark.gpu
@pytest.mark.parametrize("test", [test_fprop, test_bprop_acts, test_bprop_weights])
@pytest.mark.parametrize("tile", WAYS["fp32"])
def test_cards_without_asynchronous_copies(card_of_7_5: Any, tile: str, test: Callable[..., None]) -> None:
    """They have fewer stages, which may take less shared memory than the slabs that sums are given out by."""
    test(Way(Run(card_of_7_5, np.float32, "fp32"), tile), GEOMETRIES["several tiles"])
