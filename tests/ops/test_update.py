"""The update against float64 loops and PyTorch's SGD."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet import ops

from .conftest import Run

Array = np.ndarray[Any, Any]

# With gaps; several blocks.
OFFSETS = np.array([[3, 10], [10, 11], [20, 10007], [10007, 20020], [20025, 36409]], np.int64)
RATES = np.array([
    [0.1, 0.9, 0.3, 1 / 7, 0], [0.0, 0.5, 0.2, 1 / 7, 1], [0.02, 0.0, 0.0, 1 / 128, 0], [0.3, 0.7, 0.4, 1 / 3, 1],
    [0.5, 0.95, 1.5, 1.0, 0],
])  # fmt: skip
LEARNING = [0, 2, 3, 4]  # the segments whose eps is not 0
SIZE = 36420
TOLERANCE = {"float64": 1e-13, "float32": 4e-6}


def arrays(run: Run, size: int = SIZE) -> list[Array]:
    """w, inc, g."""
    generator = np.random.default_rng(12)
    return [generator.normal(size=size).astype(run.weights) for _ in range(3)]


def stepped(w: Array, inc: Array, g: Array, offsets: Array, rates: Array) -> tuple[Array, Array]:
    """w and inc after one step by the rule as it is written in the contract, in float64."""
    w, inc, g = (array.astype(np.float64) for array in (w, inc, g))
    for (start, stop), (eps, mom, wc, share, nesterov) in zip(offsets.tolist(), rates.tolist(), strict=True):
        for i in range(start, stop) if eps else ():
            step = -eps * (g[i] * share) - eps * wc * w[i]
            inc[i] = mom * inc[i] + step
            w[i] = w[i] + mom * inc[i] + step if nesterov else w[i] + inc[i]
    return w, inc


def close(run: Run, found: Array, expected: Array) -> None:
    tolerance = TOLERANCE[run.weights.name]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def on(run: Run, values: Array) -> Any:
    """A copy of an array on the device."""
    copy = run.device.array(run.device.allocate(values.nbytes), 0, values.shape, values.dtype)
    run.device.upload(values, copy)
    return copy


def test_momentum(run: Run) -> None:
    w, inc, g = arrays(run)
    before = w.copy(), inc.copy(), g.copy()
    expected_w, expected_inc = stepped(w, inc, g, OFFSETS, RATES)
    run("update.momentum", w, inc, g, offsets=OFFSETS, rates=RATES)
    close(run, w, expected_w)
    close(run, inc, expected_inc)
    assert np.array_equal(g, before[2])
    for start, stop in [(0, 3), (10, 20), (20020, 20025), (36409, SIZE)]:  # gaps, and the segment with eps = 0
        assert np.array_equal(w[start:stop], before[0][start:stop])
        assert np.array_equal(inc[start:stop], before[1][start:stop])


def test_many_segments(run: Run) -> None:
    """More than the arguments of one kernel hold, each with rates of its own, some empty and some at rest."""
    generator = np.random.default_rng(15)
    bounds = np.sort(generator.integers(0, 2000, 600)).reshape(300, 2)
    rates = generator.uniform(0.1, 1, (300, 5)) * (np.arange(300) % 5 > 0)[:, None]
    rates[::3, 4] = 0
    w, inc, g = arrays(run, 2000)
    expected_w, expected_inc = stepped(w, inc, g, bounds, rates)
    run("update.momentum", w, inc, g, offsets=bounds, rates=rates)
    close(run, w, expected_w)
    close(run, inc, expected_inc)


def test_rates_are_read_at_each_launch(run: Run) -> None:
    w, inc, g = arrays(run)
    held, rates = [on(run, array) for array in (w, inc, g)], RATES.copy()
    update = ops.load("update", run.device.backend)
    launch = update.momentum(run.device, *held, offsets=OFFSETS, rates=rates)
    for eps in (0.0, 0.3, 0.01):
        rates[1, 0] = eps
        w, inc = stepped(w, inc, g, OFFSETS, rates)
        launch()
        close(run, run.device.download(held[0]), w)


def test_no_segments(run: Run) -> None:
    w, inc, g = arrays(run, 100)
    before = w.copy()
    run("update.momentum", w, inc, g, offsets=np.zeros((0, 2), np.int64), rates=np.zeros((0, 5)))
    run("update.momentum", w, inc, g, offsets=np.array([[7, 7]]), rates=RATES[:1])
    assert np.array_equal(w, before)


@pytest.mark.peer
@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_torch_sgd_at_a_constant_rate(torch: Any, run: Run, nesterov: bool) -> None:
    generator = np.random.default_rng(13)
    w = generator.normal(size=501).astype(run.weights)
    parameter = torch.tensor(w.astype(np.float64), requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.05, momentum=0.8, weight_decay=0.4, nesterov=nesterov)
    rates = np.array([[0.05, 0.8, 0.4, 0.1, nesterov]])
    inc = np.zeros_like(w)
    for _ in range(4):
        g = generator.normal(size=501).astype(run.weights)
        parameter.grad = torch.tensor(g.astype(np.float64) / 10)
        optimizer.step()
        run("update.momentum", w, inc, g, offsets=np.array([[0, 501]]), rates=rates)
        close(run, w, parameter.detach().numpy())


def test_nesterovs_momentum_is_that_of_the_paper(run: Run) -> None:
    """inc' = mom * inc - eps * gradient(v + mom * inc), v' = v + inc', for weights v; w are the places looked at."""
    eps, mom, curvature = 0.1, 0.9, np.array([0.5, 1.0, 3.0])  # of the cost, a sum of curvature * v^2 / 2
    v, step = np.array([1.0, -2.0, 0.7]), np.zeros(3)
    w, inc = v.astype(run.weights), np.zeros(3, run.weights)
    for _ in range(6):
        step = mom * step - eps * curvature * (v + mom * step)
        v = v + step
        g = (curvature * w.astype(np.float64)).astype(run.weights)
        run("update.momentum", w, inc, g, offsets=np.array([[0, 3]]), rates=np.array([[eps, mom, 0.0, 1.0, 1.0]]))
        close(run, inc, step)
        close(run, w, v + mom * step)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("rows", "modules"), [(21, 1), (21, 3), (100, 1)])
def test_wball(run: Run, exact: bool, rows: int, modules: int) -> None:
    generator = np.random.default_rng(14)
    w = (generator.normal(size=(rows, 131)) * generator.uniform(0.1, 2, (rows, 131))).astype(run.weights)
    vectors = w.astype(np.float64).reshape(modules, rows // modules, 131)
    expected = vectors.copy()
    limit = float(np.median(np.sqrt((vectors**2).sum(1))))  # half of the columns are longer
    for part in range(modules):
        for column in range(131):
            norm = np.sqrt(sum(value**2 for value in vectors[part, :, column]))
            if exact or norm > limit:
                expected[part, :, column] *= limit / norm
    run("update.wball", w, limit=limit, exact=exact, modules=modules)
    tolerance = 1e-13 if w.dtype == np.float64 else 2.0**-23  # norms are float64 in every precision
    np.testing.assert_allclose(w, expected.reshape(w.shape), rtol=tolerance)


@pytest.mark.parametrize("exact", [False, True])
def test_wball_leaves_columns_of_zeros_and_of_nan(run: Run, exact: bool) -> None:
    w = np.array([[0, np.nan, 3], [0, 5, 4]], run.weights)
    run("update.wball", w, limit=1.0, exact=exact)
    np.testing.assert_allclose(w, [[0, np.nan, 0.6], [0, 5, 0.8]], rtol=1e-6)


def test_a_long_column_is_found_whose_squares_exceed_float32(run: Run) -> None:
    w = np.array([[2.0**100, 2.0**-100], [0, 0]], run.weights)
    run("update.wball", w, limit=1.0, exact=True)
    assert w.tolist() == [[1, 1], [0, 0]]


def test_rounded_weights_follow_the_weights(run: Run) -> None:
    """Momentum writes them where it writes w, the weight ball where it changes w; nothing else is touched."""
    w, inc, g = arrays(run)
    held, rounded = [on(run, array) for array in (w, inc, g)], on(run, np.full(SIZE, -7, run.dtype))
    update = ops.load("update", run.device.backend)
    if run.device.backend == "cpu":
        with pytest.raises(ValueError, match="the CPU computes with the weights themselves"):
            update.momentum(run.device, *held, offsets=OFFSETS, rates=RATES, operands=rounded)
        return
    update.momentum(run.device, *held, offsets=OFFSETS, rates=RATES, operands=rounded)()
    expected, moved = run.device.download(held[0]).astype(run.dtype), np.zeros(SIZE, bool)
    for start, stop in OFFSETS[LEARNING]:
        moved[start:stop] = True
    assert np.array_equal(run.device.download(rounded), np.where(moved, expected, run.dtype.type(-7)))
    matrix, copy = on(run, w[:120].reshape(20, 6)), on(run, w[:120].reshape(20, 6).astype(run.dtype))
    for exact in (False, True):
        update.wball(run.device, matrix, limit=4.5, exact=exact, operands=copy)()
        now = run.device.download(matrix)
        assert 0 < (now == w[:120].reshape(20, 6)).all(axis=0).sum() < 6 or exact
        assert np.array_equal(run.device.download(copy), now.astype(run.dtype))


def test_arrays_that_do_not_fit(run: Run) -> None:
    w = np.zeros(10, run.weights)
    offsets, rates = np.array([[0, 10]], np.int64), np.zeros((1, 5))
    with pytest.raises(ValueError, match=r"\(10,\), \(9,\), \(10,\)"):
        run("update.momentum", w, w[:9], w, offsets=offsets, rates=rates)
    for shape in ((2, 5), (1, 4)):
        with pytest.raises(ValueError, match=rf"\(1, 2\), \({shape[0]}, {shape[1]}\)"):
            run("update.momentum", w, w, w, offsets=offsets, rates=np.zeros(shape))
    with pytest.raises(ValueError, match=r"segments 1\.\.11 of 10 weights"):
        run("update.momentum", w, w, w, offsets=offsets + 1, rates=rates)
    with pytest.raises(ValueError, match=r"reshape|in 3 parts"):
        run("update.wball", w.reshape(5, 2), limit=1.0, exact=True, modules=3)


@pytest.mark.gpu
def test_rounded_weights_that_do_not_fit(cuda_device: Any) -> None:
    dev = cuda_device("bf16")
    run = Run(dev, dev.activations, "bf16")
    w, operands = on(run, np.zeros((5, 2), np.float32)), on(run, np.zeros((2, 5), run.dtype))
    with pytest.raises(ValueError, match=r"operands of shape \(2, 5\) for weights of shape \(5, 2\)"):
        ops.load("update", "cuda").wball(dev, w, limit=1.0, exact=True, operands=operands)
