"""Batch normalization against NumPy in float64: maps and features, many rows and few, packs of channels and not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.neuron import NeuronFunction

from .conftest import Run

# Shapes of x. A GPU takes 8 or 16 channels in packs of 16 bytes, and cuts enough rows into parts.
SHAPES = {
    "maps": (3, 5, 4, 7),
    "packs": (2, 7, 5, 16),
    "parts": (5, 9, 10, 7),
    "parts of packs": (21, 10, 10, 8),
    "features": (13, 40),
    "more features than threads": (5, 521),
    "one channel": (4, 3, 5, 1),
    "two cases": (2, 6),
}
EPS, MOMENTUM = 0.01, 0.8
TANH = NeuronFunction("tanh", 1.7, 0.6)
# Of numbers of about 1. bfloat16: half of it is rounding once; sums are float32 there too.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 2**-7}


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return SHAPES[request.param]


class Case:
    """x around other means with other deviations in each channel, dy, and everything that the operations write."""

    def __init__(self, run: Run, shape: tuple[int, ...], seed: int = 1, offset: float = 3.0) -> None:
        rng, channels = np.random.default_rng(seed), shape[-1]
        self.run, self.channels, self.rows = run, channels, int(np.prod(shape[:-1]))
        spread, centre = rng.uniform(0.5, 2, channels), rng.uniform(-1, 1, channels) * offset
        self.x, self.dy = (
            values.astype(run.dtype) for values in (centre + spread * rng.normal(size=shape), rng.normal(size=shape))
        )
        self.scale, self.shift, self.mean, self.variance = (
            rng.uniform(0.5, 2, channels).astype(run.weights) for _ in range(4)
        )
        self.y, self.dx = np.full_like(self.x, np.nan), np.full_like(self.x, np.nan)
        self.batch, self.sums = (np.full((2, channels), np.nan, run.weights) for _ in range(2))
        self.dscale, self.dshift = (np.full(channels, np.nan, run.weights) for _ in range(2))
        self.tolerance = TOLERANCE[run.dtype.name]

    def train(self, neuron: NeuronFunction | None = None) -> None:
        self.run(
            "bnorm.fprop_train", self.x, self.y, self.scale, self.shift, self.mean, self.variance, self.batch,
            eps=EPS, momentum=MOMENTUM, neuron=neuron,
        )  # fmt: skip

    def test(self, neuron: NeuronFunction | None = None) -> None:
        vectors = self.scale, self.shift, self.mean, self.variance
        self.run("bnorm.fprop_test", self.x, self.y, *vectors, eps=EPS, neuron=neuron)

    def bprop(self, *, accumulate: bool = False) -> None:
        self.run(
            "bnorm.bprop_sums", self.dy, self.x, self.batch, self.sums, self.dscale, self.dshift, accumulate=accumulate
        )
        self.run("bnorm.bprop_acts", self.dy, self.x, self.scale, self.batch, self.sums, self.dx, accumulate=accumulate)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each channel."""
        rows = self.x.astype(np.float64).reshape(-1, self.channels)
        mean = rows.mean(axis=0)
        return mean, ((rows - mean) ** 2).mean(axis=0)

    def expected(self, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """The output for these statistics."""
        return (self.x.astype(float) - mean) / np.sqrt(variance + EPS) * self.scale + self.shift

    def check(self, found: np.ndarray, expected: np.ndarray, tolerance: float | None = None) -> None:
        """In all numbers, to so much of the largest."""
        tolerance = tolerance or self.tolerance
        np.testing.assert_allclose(
            found.astype(float), expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()
        )


def tanh(x: np.ndarray) -> np.ndarray:
    """TANH in float64."""
    return np.asarray(1.7 * np.tanh(0.6 * x))


def float_sums(run: Run) -> float:
    """The tolerance of what is summed and held in the type of weights."""
    return TOLERANCE[run.weights.name]


def test_training_normalizes_with_the_rows_own_statistics(run: Run, shape: tuple[int, ...]) -> None:
    case = Case(run, shape)
    mean, variance = case.moments()
    case.train()
    case.check(case.y, case.expected(mean, variance))
    case.check(case.batch, np.stack([mean, 1 / np.sqrt(variance + EPS)]), float_sums(run))


def test_training_moves_the_running_statistics(run: Run, shape: tuple[int, ...]) -> None:
    """Towards the mean, and the variance divided by R - 1."""
    case = Case(run, shape)
    before = case.mean.copy(), case.variance.copy()
    mean, variance = case.moments()
    variance = variance * case.rows / (case.rows - 1)
    case.train()
    case.check(case.mean, MOMENTUM * before[0] + (1 - MOMENTUM) * mean, float_sums(run))
    case.check(case.variance, MOMENTUM * before[1] + (1 - MOMENTUM) * variance, float_sums(run))


def test_testing_normalizes_with_the_running_statistics_and_leaves_them(run: Run, shape: tuple[int, ...]) -> None:
    case = Case(run, shape)
    held = case.mean.copy(), case.variance.copy()
    case.test()
    case.check(case.y, case.expected(*held))
    assert np.array_equal(case.mean, held[0])
    assert np.array_equal(case.variance, held[1])


@pytest.mark.parametrize("name", ["maps", "packs", "features"])
def test_the_neuron_is_applied_to_the_output(run: Run, name: str) -> None:
    case = Case(run, SHAPES[name])
    moments = case.moments()
    case.test(TANH)
    case.check(case.y, tanh(case.expected(case.mean, case.variance)))
    case.train(TANH)
    case.check(case.y, tanh(case.expected(*moments)))


@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop(run: Run, shape: tuple[int, ...], accumulate: bool) -> None:
    case = Case(run, shape)
    case.train()
    if accumulate:
        rng = np.random.default_rng(4)
        for array in (case.dx, case.dscale, case.dshift):
            array[...] = rng.normal(size=array.shape)
    before = [array.astype(float) * accumulate if accumulate else 0 for array in (case.dx, case.dscale, case.dshift)]
    mean, variance = case.moments()
    normal = ((case.x.astype(float) - mean) / np.sqrt(variance + EPS)).reshape(case.rows, -1)
    dy = case.dy.astype(float).reshape(case.rows, -1)
    shift, scale = dy.sum(axis=0), (dy * normal).sum(axis=0)
    dx = (dy - shift / case.rows - normal * scale / case.rows) * case.scale / np.sqrt(variance + EPS)
    case.bprop(accumulate=accumulate)
    case.check(case.sums, np.stack([shift, scale]), float_sums(run))
    case.check(case.dx, dx.reshape(case.x.shape) + before[0])
    case.check(case.dscale, scale + before[1], float_sums(run))
    case.check(case.dshift, shift + before[2], float_sums(run))


def test_sums_alone(run: Run) -> None:
    """Scale or shift may have no gradient."""
    case = Case(run, SHAPES["maps"])
    case.train()
    case.bprop()
    sums = case.sums.copy()
    for dscale, dshift in ((None, case.dshift), (case.dscale, None), (None, None)):
        case.sums[...] = case.dscale[...] = case.dshift[...] = np.nan
        run("bnorm.bprop_sums", case.dy, case.x, case.batch, case.sums, dscale, dshift, accumulate=False)
        assert np.array_equal(case.sums, sums)
        for given, found, expected in ((dshift, case.dshift, sums[0]), (dscale, case.dscale, sums[1])):
            assert np.isnan(found).all() if given is None else np.array_equal(found, expected)


def test_the_gradient_of_a_direction(shape: tuple[int, ...]) -> None:
    """By differences, of all that the output depends on."""
    run = Run(CpuDevice(threads=2), np.float64)
    case, rng = Case(run, shape, seed=6), np.random.default_rng(7)
    arrays = case.x, case.scale, case.shift
    held, directions = [a.copy() for a in arrays], [rng.normal(size=a.shape) for a in arrays]

    def objective(step: float) -> float:
        for array, values, direction in zip(arrays, held, directions, strict=True):
            array[...] = values + step * direction
        case.train()
        return float((case.y * case.dy).sum())

    numeric = (objective(1e-6) - objective(-1e-6)) / 2e-6
    objective(0)
    case.bprop()
    found = zip((case.dx, case.dscale, case.dshift), directions, strict=True)
    assert sum((gradient * direction).sum() for gradient, direction in found) == pytest.approx(numeric, rel=1e-6)


@pytest.mark.parametrize("name", ["maps", "packs", "parts", "parts of packs", "features"])
def test_the_variance_of_numbers_far_from_0_is_exact(run_exact: Run, name: str) -> None:
    """As a difference of squares it would be wrong by more than itself: 2^24 or 2^53 has no room for them."""
    offset = 1e9 if run_exact.dtype == np.float64 else 2e4
    case = Case(run_exact, SHAPES[name], offset=offset)
    case.x[...] = np.round(case.x * 256) / 256
    mean, variance = case.moments()
    case.variance[...] = case.mean[...] = 0
    case.train()
    np.testing.assert_allclose(case.variance, (1 - MOMENTUM) * variance * case.rows / (case.rows - 1), rtol=2e-5)
    np.testing.assert_allclose(case.batch[1], 1 / np.sqrt(variance + EPS), rtol=2e-5)
    np.testing.assert_allclose(case.batch[0], mean, rtol=1e-6)


def test_a_first_row_far_from_all_others(run_exact: Run) -> None:
    case = Case(run_exact, SHAPES["parts"])
    case.x.reshape(case.rows, -1)[0] += 1e4
    mean, variance = case.moments()
    case.train()
    assert (np.abs(case.batch[0] - mean) < 1e-5 * np.sqrt(variance)).all()
    np.testing.assert_allclose(case.batch[1], 1 / np.sqrt(variance + EPS), rtol=1e-5)


def test_equal_numbers_have_variance_0(run: Run) -> None:
    """One row, too: it is shifted, and its gradient is 0."""
    for shape in ((1, 5), (6, 3, 3, 4)):
        case = Case(run, shape)
        case.x[...], case.variance[...] = 0.3, 0
        case.train()
        case.bprop()
        assert np.array_equal(case.variance, np.zeros(case.channels))
        np.testing.assert_allclose(case.batch[1], EPS**-0.5, rtol=1e-5)
        case.check(case.y, np.broadcast_to(case.shift, shape).astype(float), max(case.tolerance, 1e-5))
        if case.rows == 1:
            assert not case.dx.astype(float).any()


def test_not_a_number_is_seen(run: Run) -> None:
    case = Case(run, SHAPES["packs"])
    case.x[1, 2, 3, 4] = np.nan
    case.train()
    wrong = [bool(np.isnan(case.y[..., c].astype(float)).all()) for c in range(case.channels)]
    assert wrong == [c == 4 for c in range(case.channels)]
    assert [bool(w) for w in np.isnan(case.variance)] == wrong


def test_the_same_bits_each_time(run: Run) -> None:
    results = []
    for _ in range(2):
        case = Case(run, SHAPES["parts"])
        case.train(TANH)
        case.bprop()
        arrays = case.y, case.mean, case.variance, case.batch, case.sums, case.dx, case.dscale, case.dshift
        results.append([array.tobytes() for array in arrays])
    assert results[0] == results[1]


@pytest.mark.gpu
def test_more_rows_than_blocks(cuda_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads of a grid take several rows then, and a pack of channels."""
    run = Run(cuda_device("fp32"), np.float32, "fp32")
    monkeypatch.setattr("convnet.backends.cuda.grid._BLOCKS", 1)
    for name in ("parts of packs", "features"):
        test_training_normalizes_with_the_rows_own_statistics(run, SHAPES[name])
        test_testing_normalizes_with_the_running_statistics_and_leaves_them(run, SHAPES[name])
        test_bprop(run, SHAPES[name], accumulate=True)


@pytest.mark.peer
@pytest.mark.parametrize("name", ["maps", "parts of packs"])
def test_three_minibatches_are_pytorchs(torch: Any, name: str) -> None:
    """Outputs and gradients of training, running statistics, outputs of testing."""
    run = Run(CpuDevice(threads=2), np.float64)
    shape = SHAPES[name]
    peer = torch.nn.BatchNorm2d(shape[-1], eps=EPS, momentum=1 - MOMENTUM, dtype=torch.float64)
    cases = [Case(run, shape, seed) for seed in (1, 2, 3)]
    held = cases[0]
    with torch.no_grad():
        for of, array in ((peer.weight, held.scale), (peer.bias, held.shift)):
            of.copy_(torch.tensor(array))
        peer.running_mean.copy_(torch.tensor(held.mean))
        peer.running_var.copy_(torch.tensor(held.variance))
    for case in cases:
        case.scale, case.shift, case.mean, case.variance = held.scale, held.shift, held.mean, held.variance
        x = torch.tensor(case.x, requires_grad=True)
        y = peer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        gradients = torch.autograd.grad(y, (x, peer.weight, peer.bias), torch.tensor(case.dy))
        case.train()
        case.bprop()
        for found, expected in zip((case.y, case.dx, case.dscale, case.dshift), (y, *gradients), strict=True):
            case.check(found, expected.detach().numpy())
        case.check(case.mean, peer.running_mean.numpy())
        case.check(case.variance, peer.running_var.numpy())
    held.test()
    expected = peer.eval()(torch.tensor(held.x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    held.check(held.y, expected.detach().numpy())


def test_arrays_that_do_not_fit(run: Run) -> None:
    case = Case(run, SHAPES["maps"])
    for name, wrong in (("y", case.y[1:]), ("scale", case.scale[1:]), ("batch", case.batch[:, 1:])):
        whole = getattr(case, name)
        setattr(case, name, np.ascontiguousarray(wrong))
        with pytest.raises(ValueError, match="bnorm: arrays of shape"):
            case.train()
        setattr(case, name, whole)
    case.dshift = case.dshift[1:].copy()
    with pytest.raises(ValueError, match="bnorm: arrays of shape"):
        case.bprop()
