"""Contrast normalization against loops in float64 and against differences."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.ops.cnorm import cpu
from convnet.ops.rnorm import Normalization

from .normalization_checks import TOLERANCE, check_bprop, check_fprop, check_gradient, device

SHAPE = (3, 5, 7, 3)
NORMS = {
    "usual": Normalization(3, 0.9, 0.75, 1.0),
    "even": Normalization(4, 1.0, 0.5, 2.0),
    "single": Normalization(1, 0.8, 0.75, 1.5),
    "two": Normalization(2, 1.1, 1.0, 0.7),
    "general power": Normalization(5, 0.7, 1.3, 1.2),
    "larger than the image": Normalization(13, 0.9, 0.75, 2.0),
}


@pytest.fixture(params=NORMS)
def norm(request: pytest.FixtureRequest) -> Normalization:
    return NORMS[request.param]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fprop(norm: Normalization, dtype: str) -> None:
    check_fprop("cnorm", norm, SHAPE, dtype)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bprop(norm: Normalization, dtype: str, accumulate: bool) -> None:
    check_bprop("cnorm", norm, SHAPE, dtype, accumulate)


def test_gradient_by_differences(norm: Normalization) -> None:
    check_gradient("cnorm", norm, SHAPE)


def test_one_case_and_one_channel() -> None:
    check_fprop("cnorm", NORMS["usual"], (1, 4, 9, 1), "float64")
    check_bprop("cnorm", NORMS["usual"], (1, 4, 9, 1), "float64", accumulate=False)


def test_a_flat_image_is_only_divided_by_the_constant() -> None:
    x = np.full(SHAPE, 3.0)
    y = np.empty_like(x)
    cpu.fprop(device(), x, y, Normalization(3, 1.0, 0.5, 4.0))()
    np.testing.assert_allclose(y, 1.5, rtol=1e-14)
