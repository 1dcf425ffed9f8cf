"""Winograd's convolutions against loops in float64, and how much more they round than sums of products."""

from __future__ import annotations

from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu import choice
from convnet.backends.cpu.device import CpuDevice
from convnet.ops.conv import ConvGeometry, cpu, cpu_winograd, cpu_winograd_rows, cpu_winograd_weights
from convnet.ops.conv.winograd import filter_matrix, input_matrix, output_matrix
from convnet.ops.neuron import NeuronFunction
from convnet.shape import Maps

from . import reference_conv
from .conv_checks import arrays, device

# maps (channels, y, x), filters, filter size, padding, stride, groups, modules y, modules x.
GEOMETRIES = {
    "3 taps": ConvGeometry(Maps(5, 9, 10), 7, 3, 1, 1, 1, 9, 10),
    "5 taps": ConvGeometry(Maps(6, 11, 9), 9, 5, 2, 1, 1, 11, 9),
    "groups": ConvGeometry(Maps(42, 6, 7), 74, 3, 1, 1, 2, 6, 7),
    "many channels": ConvGeometry(Maps(70, 5, 6), 50, 5, 2, 1, 1, 5, 6),
    "no padding": ConvGeometry(Maps(4, 9, 7), 6, 5, 0, 1, 1, 5, 3),
    "all the padding there may be": ConvGeometry(Maps(3, 4, 5), 4, 3, 2, 1, 1, 6, 7),
    "image smaller than a tile": ConvGeometry(Maps(3, 3, 2), 4, 5, 2, 1, 1, 3, 2),
    "whole tiles": ConvGeometry(Maps(16, 8, 8), 32, 3, 1, 1, 1, 8, 8),
    "fewer modules": ConvGeometry(Maps(3, 9, 8), 4, 3, 1, 1, 1, 5, 3),
    "more modules": ConvGeometry(Maps(3, 5, 4), 4, 3, 1, 1, 1, 7, 6),
    "one channel, many columns": ConvGeometry(Maps(1, 5, 33), 20, 5, 0, 1, 1, 1, 29),
    "many rows, several blocks": ConvGeometry(Maps(2, 31, 6), 70, 3, 1, 1, 1, 31, 6),
    "depthwise": ConvGeometry(Maps(5, 6, 7), 10, 3, 1, 1, 5, 6, 7),
}
# The functions fprop and bprop_weights of an engine, with transforms along both axes or along rows.
ENGINES = {
    "both axes": (cpu_winograd.fprop, cpu_winograd_weights.bprop_weights),
    "rows": (cpu_winograd_rows.fprop, cpu_winograd_rows.bprop_weights),
}
FITTING = [
    pytest.param(engine, name, id=f"{engine}, {name}")
    for engine in ENGINES
    for name, g in GEOMETRIES.items()
    if engine == "both axes" or g.groups == 1
]  # fmt: skip
TANH = NeuronFunction("tanh", 1.3, 0.4)
# Of the largest result, for tiles of 4x4 outputs: what docs/architecture.md promises.
ROWS_BOUND = 5e-6  # along rows
BOUND = {"fprop": 1e-5, "bprop_acts": 2e-5, "bprop_weights": 3e-5}


@pytest.fixture(params=GEOMETRIES)
def geometry(request: pytest.FixtureRequest) -> ConvGeometry:
    return GEOMETRIES[request.param]


@pytest.mark.parametrize(("m", "r"), [(2, 3), (3, 3), (4, 3), (3, 4), (4, 5), (5, 4), (1, 5), (6, 3)])
def test_the_matrices_give_a_correlation_exactly(m: int, r: int) -> None:
    x = [Fraction(7 * i * i - 3 * i + 1, i + 2) for i in range(m + r - 1)]
    w = [Fraction(5 - i * i, 2 * i + 3) for i in range(r)]

    def times(matrix: list[list[Fraction]], vector: list[Fraction]) -> list[Fraction]:
        return [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0)) for row in matrix]

    products = [a * b for a, b in zip(times(filter_matrix(m, r), w), times(input_matrix(m, r), x), strict=True)]
    assert times(output_matrix(m, r), products) == [
        sum((x[i + j] * w[j] for j in range(r)), Fraction(0)) for i in range(m)
    ]


def test_the_inputs_matrix_is_the_same_for_filters_and_their_gradient() -> None:
    assert input_matrix(4, 5) == input_matrix(5, 4)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("bias", ["none", "shared", "each"])
@pytest.mark.parametrize("neuron", ["relu", "tanh", "none"])
@pytest.mark.parametrize(("engine", "name"), FITTING)
def test_fprop(engine: str, name: str, bias: str, accumulate: bool, neuron: str) -> None:
    geometry = GEOMETRIES[name]
    x, w, y = arrays(geometry)
    biases = {"none": None, "shared": np.linspace(-9, 9, y[0, 0, 0].size), "each": np.linspace(-9, 9, y[0].size)}[bias]
    expected = reference_conv.fprop(x, w, geometry)
    if accumulate:
        expected = expected + y
    else:
        y[:] = np.nan
    if biases is not None:
        expected = expected + biases.reshape(y[0, 0, 0].shape if bias == "shared" else y[0].shape)
    function = {"relu": NeuronFunction("relu"), "tanh": TANH, "none": None}[neuron]
    if neuron != "none":
        expected = np.maximum(expected, 0) if neuron == "relu" else 1.3 * np.tanh(0.4 * expected)
    ENGINES[engine][0](device(), x, w, biases, y, geometry, accumulate=accumulate, neuron=function)()
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop_acts(geometry: ConvGeometry, accumulate: bool) -> None:
    dx, w, dy = arrays(geometry)
    expected = reference_conv.bprop_acts(dy, w, geometry)
    if accumulate:
        expected = expected + dx
    else:
        dx[:] = np.nan
    cpu_winograd.bprop_acts(device(), dy, w, dx, geometry, accumulate=accumulate)()
    np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("n", [1, 3, 19])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("sums", ["a part of the cases each", "one for all"])  # along rows: always the first
@pytest.mark.parametrize(("engine", "name"), FITTING)
def test_bprop_weights(
    engine: str, name: str, accumulate: bool, n: int, sums: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    geometry = GEOMETRIES[name]
    if sums == "one for all":
        monkeypatch.setattr(cpu_winograd_weights, "_SMALL", 0)
        monkeypatch.setattr(cpu_winograd_weights, "_SHARED_CACHE", 1 << 16)  # several chunks
    x, dw, dy = arrays(geometry, n=n)
    expected = reference_conv.bprop_weights(x, dy, geometry)
    if accumulate:
        expected = expected + dw
    else:
        dw[:] = np.nan
    ENGINES[engine][1](device(), x, dy, dw, geometry, accumulate=accumulate)()
    np.testing.assert_allclose(dw, expected, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("name", ["groups", "5 taps"])
@pytest.mark.parametrize("small", [0, 1 << 20])
def test_threads_do_not_change_a_bit(name: str, threads: int, small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_winograd_weights, "_SMALL", small)
    g = GEOMETRIES[name]
    x, w, dy = arrays(g, "float32", 11)
    results = []
    for dev in (device(1), device(threads)):
        y, dx, dw = np.empty_like(dy), np.empty_like(x), np.empty_like(w)
        cpu_winograd.fprop(dev, x, w, dy[0, 0, 0], y, g, accumulate=False, neuron=NeuronFunction("relu"))()
        cpu_winograd.bprop_acts(dev, dy, w, dx, g, accumulate=False)()
        cpu_winograd_weights.bprop_weights(dev, x, dy, dw, g, accumulate=False)()
        results.append((y, dx, dw))
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_do_not_change_a_bit_of_rows(threads: int) -> None:
    g = GEOMETRIES["many rows, several blocks"]
    x, w, dy = arrays(g, "float32", 31)
    results = []
    for dev in (device(1), device(threads)):
        y, dw = np.empty_like(dy), np.empty_like(w)
        cpu_winograd_rows.fprop(dev, x, w, dy[0, 0, 0], y, g, accumulate=False, neuron=NeuronFunction("relu"))()
        cpu_winograd_rows.bprop_weights(dev, x, dy, dw, g, accumulate=False)()
        results.append((y, dw))
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize("size", [3, 5])
def test_rounding_errors_along_rows_are_bounded(size: int) -> None:
    g = ConvGeometry(Maps(3, 32, 32), 64, size, size // 2, 1, 1, 32, 32)
    x, w, dy = arrays(g, "float32", 8)
    y, dw = np.empty_like(dy), np.empty_like(w)
    cpu_winograd_rows.fprop(device(), x, w, None, y, g, accumulate=False, neuron=None)()
    cpu_winograd_rows.bprop_weights(device(), x, dy, dw, g, accumulate=False)()
    x, w, dy = (array.astype(np.float64) for array in (x, w, dy))
    for found, expected in (
        (y, reference_conv.fprop(x, w, g)), (dw, reference_conv.bprop_weights(x, dy, g)),
    ):  # fmt: skip
        assert np.abs(found - expected).max() < ROWS_BOUND * np.abs(expected).max()


@pytest.mark.parametrize("size", [3, 5])
def test_rounding_errors_are_bounded(size: int) -> None:
    g = ConvGeometry(Maps(64, 13, 13), 64, size, size // 2, 1, 1, 13, 13)
    x, w, dy = arrays(g, "float32", 8)
    np.maximum(x, 0, out=x)
    y, dx, dw = np.empty_like(dy), np.empty_like(x), np.empty_like(w)
    dev = device()
    cpu_winograd.fprop(dev, x, w, None, y, g, accumulate=False, neuron=None)()
    cpu_winograd.bprop_acts(dev, dy, w, dx, g, accumulate=False)()
    cpu_winograd_weights.bprop_weights(dev, x, dy, dw, g, accumulate=False)()
    wide = [array.astype(np.float64) for array in (x, w, dy)]
    exact = {
        "fprop": (y, reference_conv.fprop(wide[0], wide[1], g)),
        "bprop_acts": (dx, reference_conv.bprop_acts(wide[2], wide[1], g)),
        "bprop_weights": (dw, reference_conv.bprop_weights(wide[0], wide[2], g)),
    }
    for name, (found, expected) in exact.items():
        assert np.abs(found - expected).max() < BOUND[name] * np.abs(expected).max(), name


class TestWhichEngine:
    """What convnet.ops.conv.cpu chooses."""

    @pytest.fixture
    def ran(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The engines that were prepared, in order."""
        names: list[str] = []
        winograd = (cpu_winograd, cpu_winograd_weights, cpu_winograd_rows)
        for module in (*winograd, cpu.cpu_direct, cpu.cpu_direct_acts, cpu.cpu_direct_weights):
            self.spy(module, names, monkeypatch)
        return names

    def spy(self, module: ModuleType, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        for function in {"fprop", "bprop_acts", "bprop_weights"} & set(vars(module)):
            before = getattr(module, function)

            def after(*arguments: Any, before: Any = before, **options: Any) -> Any:
                kind = module.__name__.rpartition("cpu_")[2]
                names.append("rows" if kind == "winograd_rows" else kind.partition("_")[0])
                return before(*arguments, **options)

            monkeypatch.setattr(module, function, after)

    def prepare(self, dev: CpuDevice, g: ConvGeometry, dtype: str = "float32") -> None:
        x, w, dy = arrays(g, dtype)
        cpu.fprop(dev, x, w, None, dy, g, accumulate=False, neuron=None)
        cpu.bprop_acts(dev, dy, w, x, g, accumulate=False)
        cpu.bprop_weights(dev, x, dy, w, g, accumulate=False)

    def test_winograd_by_rule(self, ran: list[str]) -> None:
        self.prepare(CpuDevice(), GEOMETRIES["whole tiles"])
        assert ran == 3 * ["winograd"]

    @pytest.mark.parametrize(
        ("dev", "g", "dtype"),
        [
            pytest.param(CpuDevice(exact=True, tune=True), GEOMETRIES["whole tiles"], "float32", id="exact"),
            pytest.param(CpuDevice(), GEOMETRIES["whole tiles"], "float64", id="float64"),
            pytest.param(CpuDevice(), GEOMETRIES["3 taps"], "float32", id="few channels"),
            pytest.param(CpuDevice(), ConvGeometry(Maps(16, 9, 9), 16, 3, 1, 2, 1, 5, 5), "float32", id="stride"),
            pytest.param(CpuDevice(), ConvGeometry(Maps(16, 9, 9), 16, 7, 3, 1, 1, 9, 9), "float32", id="7 taps"),
            pytest.param(CpuDevice(), ConvGeometry(Maps(16, 3, 3), 16, 3, 3, 1, 1, 7, 7), "float32", id="padding"),
        ],
    )
    def test_direct(self, ran: list[str], dev: CpuDevice, g: ConvGeometry, dtype: str) -> None:
        self.prepare(dev, g, dtype)
        assert ran == 3 * ["direct"]

    @pytest.mark.parametrize("fastest", ["direct", "winograd"])
    def test_the_fastest_and_that_is_remembered(
        self, ran: list[str], fastest: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        timed: list[dict[str, Any]] = []

        def times(_ways: Any, shapes: dict[str, Any], _dtype: Any) -> dict[str, float]:
            timed.append(shapes)
            return {"direct": 1.0 if fastest == "direct" else 3.0, "winograd": 2.0}

        monkeypatch.setattr(choice, "_time_all", times)
        monkeypatch.setattr(choice, "cache_folder", lambda: tmp_path)
        monkeypatch.setattr(choice.CHOICES, "known", {})
        self.prepare(CpuDevice(threads=1, tune=True), GEOMETRIES["whole tiles"])
        assert ran == 3 * [fastest]
        assert [list(shapes) for shapes in timed] == [["x", "w", "y"], ["dy", "w", "dx"], ["x", "dy", "dw"]]
        choice.CHOICES.known.clear()  # as in another process
        self.prepare(CpuDevice(threads=2, tune=True), GEOMETRIES["whole tiles"])
        assert ran == 6 * [fastest]
        assert len(timed) == 3, "another number of threads does not time again"

    def test_few_channels_are_transformed_along_rows_where_that_is_fastest(
        self, ran: list[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(choice, "_time_all", lambda *_: {"direct": 2.0, "rows": 1.0})
        monkeypatch.setattr(choice, "cache_folder", lambda: tmp_path)
        monkeypatch.setattr(choice.CHOICES, "known", {})
        g = ConvGeometry(Maps(3, 9, 8), 16, 5, 2, 1, 1, 9, 8)
        self.prepare(CpuDevice(tune=True), g)
        self.prepare(CpuDevice(), g)
        assert ran == ["rows", "direct", "rows", *3 * ["direct"]]

    def test_timing_runs_both(self, ran: list[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "cache_folder", lambda: tmp_path)
        monkeypatch.setattr(choice.CHOICES, "known", {})
        self.prepare(CpuDevice(tune=True), GEOMETRIES["whole tiles"])
        assert [ran[i : i + 2] for i in (0, 3, 6)] == 3 * [["direct", "winograd"]]
        assert len(list(tmp_path.glob("choice-*.json"))) == 3
