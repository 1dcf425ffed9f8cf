"""What both normalizations within maps, rnorm and cnorm, must do: loops in float64, and differences."""

from __future__ import annotations

import pytest

from convnet.ops.rnorm import Normalization

from .normalization_checks import TOLERANCE, check_bprop, check_fprop, check_gradient

SHAPES = [(3, 6, 5, 7), (3, 5, 7, 3)]
NORMS = {
    "usual": Normalization(3, 0.9, 0.75, 1.0),
    "even": Normalization(4, 1.0, 0.5, 2.0),
    "single": Normalization(1, 0.8, 0.75, 1.5),
    "single and power 1": Normalization(1, 0.8, 1.0, 1.5),
    "two": Normalization(2, 1.1, 1.0, 0.7),
    "general power": Normalization(5, 0.7, 1.3, 1.2),
    "larger than the image": Normalization(13, 0.9, 0.75, 2.0),
}
pytestmark = pytest.mark.parametrize("operation", ["rnorm", "cnorm"])


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fprop(operation: str, norm: Normalization, shape: tuple[int, ...], dtype: str) -> None:
    check_fprop(operation, norm, shape, dtype)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bprop(
    operation: str, norm: Normalization, shape: tuple[int, ...], dtype: str, accumulate: bool
) -> None:  # fmt: skip
    check_bprop(operation, norm, shape, dtype, accumulate)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_by_differences(operation: str, norm: Normalization, shape: tuple[int, ...]) -> None:
    check_gradient(operation, norm, shape)


def test_one_case_and_one_channel(operation: str) -> None:
    check_fprop(operation, NORMS["usual"], (1, 4, 9, 1), "float64")
    check_bprop(operation, NORMS["usual"], (1, 4, 9, 1), "float64", accumulate=False)
