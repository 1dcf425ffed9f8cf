"""Response normalization within maps against loops in float64 and against differences."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.ops.rnorm import Normalization, cpu

from .normalization_checks import TOLERANCE, check_bprop, check_fprop, check_gradient, device

SHAPE = (3, 6, 5, 7)
NORMS = {
    "usual": Normalization(3, 0.9, 0.75, 1.0),
    "even": Normalization(4, 1.0, 0.5, 2.0),
    "single": Normalization(1, 0.8, 1.0, 1.5),
    "two": Normalization(2, 1.1, 1.0, 0.7),
    "general power": Normalization(5, 0.7, 1.3, 1.2),
    "larger than the image": Normalization(13, 0.9, 0.75, 2.0),
}


@pytest.fixture(params=NORMS)
def norm(request: pytest.FixtureRequest) -> Normalization:
    return NORMS[request.param]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fprop(norm: Normalization, dtype: str) -> None:
    check_fprop("rnorm", norm, SHAPE, dtype)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bprop(norm: Normalization, dtype: str, accumulate: bool) -> None:
    check_bprop("rnorm", norm, SHAPE, dtype, accumulate)


def test_gradient_by_differences(norm: Normalization) -> None:
    check_gradient("rnorm", norm, SHAPE)


def test_one_case_and_one_channel() -> None:
    check_fprop("rnorm", NORMS["usual"], (1, 4, 9, 1), "float64")
    check_bprop("rnorm", NORMS["usual"], (1, 4, 9, 1), "float64", accumulate=False)


def test_not_a_number_is_seen() -> None:
    x = np.ones((1, 5, 5, 1))
    x[0, 2, 2, 0] = np.nan
    y = np.empty_like(x)
    cpu.fprop(device(), x, y, NORMS["usual"])()
    assert np.isnan(y[0, 1:4, 1:4]).all()
    assert np.isnan(y).sum() == 9


def test_arrays_that_do_not_fit() -> None:
    x = np.zeros(SHAPE)
    with pytest.raises(ValueError, match="normalization: expected arrays of one shape"):
        cpu.fprop(device(), x, x[1:], NORMS["usual"])
    with pytest.raises(ValueError, match="normalization: expected arrays of one shape"):
        cpu.bprop(device(), x[..., 1:], x, x.copy(), NORMS["usual"], accumulate=False)
