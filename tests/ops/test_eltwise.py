"""Element-wise operations against NumPy and loops, with lengths that do not fill the last block."""

from __future__ import annotations

import numpy as np
import pytest

from convnet import ops

from .conftest import Run

SHAPES = [(3, 5, 7, 2), (11, 1237), (1, 1)]
TOLERANCE = {"float64": 1e-15, "float32": 1e-6, "bfloat16": 2**-8}


@pytest.fixture(params=SHAPES, ids=str)
def shape(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return tuple(request.param)


def numbers(seed: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("accumulate", [False, True])
def test_scale(run: Run, shape: tuple[int, ...], accumulate: bool) -> None:
    x = numbers(1, shape, run.dtype)
    y = numbers(2, shape, run.dtype) if accumulate else np.full(shape, np.nan, run.dtype)
    expected = -0.3 * x.astype(np.float64) + (y.astype(np.float64) if accumulate else 0)
    run("eltwise.scale", x, y, coeff=-0.3, accumulate=accumulate)
    tolerance = TOLERANCE[run.dtype.name]
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=tolerance, atol=min(tolerance, 1e-6))


@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 9, 17])
def test_fprop_sum(run: Run, shape: tuple[int, ...], inputs: int) -> None:
    """Coefficients, products and sums are rounded; to bfloat16 only what is written."""
    xs = [numbers(seed, shape, run.dtype) for seed in range(inputs)]
    coeffs = [0.7 - 0.6 * k for k in range(inputs)]
    y = np.full(shape, np.nan, run.dtype)
    terms = [coeff * x.astype(np.float64) for coeff, x in zip(coeffs, xs, strict=True)]
    run("eltwise.fprop_sum", xs, y, coeffs=coeffs)
    additions = inputs * (2**-52 if run.dtype == np.float64 else 2**-23)
    rounding = 2**-8 if run.dtype.name == "bfloat16" else 0
    allowed = additions * sum(map(abs, terms)) + rounding * abs(sum(terms))
    assert (abs(y.astype(np.float64) - sum(terms)) <= allowed).all()


def test_sums_are_added_in_the_order_given(run_exact: Run) -> None:
    """Also on a GPU: 2^60 swallows what is added to it."""
    xs = [np.full((3, 5), value, run_exact.dtype) for value in (2.0**60, 1, -(2.0**60), 3)]
    y = np.full((3, 5), np.nan, run_exact.dtype)
    run_exact("eltwise.fprop_sum", xs, y, coeffs=[1.0] * 4)
    assert (y == 3).all()


@pytest.mark.parametrize("inputs", [2, 3, 5, 8, 9, 16])
def test_fprop_max(run: Run, shape: tuple[int, ...], inputs: int) -> None:
    xs = [numbers(seed, shape, run.dtype) - run.dtype.type(2) for seed in range(inputs)]
    y = np.full(shape, np.nan, run.dtype)
    run("eltwise.fprop_max", xs, y)
    np.testing.assert_array_equal(y, np.max(xs, axis=0))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_not_a_number_is_seen(run: Run, place: int) -> None:
    xs = [np.full((2, 3), float(number), run.dtype) for number in (1, 3, 2)]
    xs[place][1, 1] = np.nan
    y = np.empty((2, 3), run.dtype)
    run("eltwise.fprop_max", xs, y)
    np.testing.assert_array_equal(y.astype(np.float64), [[3, 3, 3], [3, np.nan, 3]])


@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop_max_gives_all_of_dy_to_every_maximum(run: Run, shape: tuple[int, ...], accumulate: bool) -> None:
    xs = [numbers(seed, shape, np.dtype(float)).round().astype(run.dtype) for seed in range(3)]  # many ties
    y, dy = np.max(xs, axis=0), numbers(4, shape, run.dtype)
    assert y.size == 1 or sum((x == y).sum() for x in xs) > y.size
    for x in xs:
        before = numbers(5, shape, run.dtype)
        dx = before.copy() if accumulate else np.full(shape, np.nan, run.dtype)
        run("eltwise.bprop_max", dy, x, y, dx, accumulate=accumulate)
        given = np.where(x == y, dy, run.dtype.type(0))
        np.testing.assert_array_equal(dx, given + before if accumulate else given)


@pytest.mark.parametrize("size", [1, 31, 37, 1025])
def test_nothing_is_written_behind_the_end(run: Run, size: int) -> None:
    dev, room = run.device, size + 16
    eltwise = ops.load("eltwise", dev.backend)
    blocks = [dev.allocate(room * run.dtype.itemsize) for _ in range(2)]
    for block, value in zip(blocks, (3, 20), strict=True):
        dev.upload(np.full(room, value), dev.array(block, 0, (room,), run.dtype))
    x, other = (dev.array(block, 0, (size,), run.dtype) for block in blocks)
    eltwise.scale(dev, x, x, coeff=2.0, accumulate=False)()
    eltwise.fprop_sum(dev, [x, other], x, coeffs=[0.5, 0.25])()
    eltwise.fprop_max(dev, [x, other], x)()
    eltwise.bprop_max(dev, other, x, other, x, accumulate=True)()
    found = dev.download(dev.array(blocks[0], 0, (room,), run.dtype))
    assert (found[:size] == 40).all()
    assert (found[size:] == 3).all()


def test_arrays_that_do_not_fit(run: Run) -> None:
    x, y = np.zeros((3, 4), run.dtype), np.zeros((4, 3), run.dtype)
    with pytest.raises(ValueError, match="eltwise: expected arrays of one shape"):
        run("eltwise.scale", x, y, coeff=1.0, accumulate=False)
    with pytest.raises(ValueError, match="eltwise: expected arrays of one shape"):
        run("eltwise.fprop_sum", [x, x[:2]], x.copy(), coeffs=[1, 2])
    with pytest.raises(ValueError, match="eltwise: 1 coefficients for 2 inputs"):
        run("eltwise.fprop_sum", [x, x], x.copy(), coeffs=[1])
    with pytest.raises(ValueError, match="eltwise: expected arrays of one shape"):
        run("eltwise.fprop_max", [x, x[:2]], x.copy())
    with pytest.raises(ValueError, match="eltwise: expected arrays of one shape"):
        run("eltwise.bprop_max", x, x, y, x.copy(), accumulate=False)
