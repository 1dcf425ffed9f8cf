"""Response normalization across maps against loops in float64, PyTorch and differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet.ops.cmrnorm import cpu
from convnet.ops.rnorm import Normalization

from .normalization_checks import TOLERANCE, check_bprop, check_fprop, check_gradient, device

SHAPE = (3, 6, 5, 11)  # 90 pixels: more than one strip, and the last one is not full
NORMS = {
    "usual": Normalization(5, 0.9, 0.75, 2.0),
    "three": Normalization(3, 1.0, 0.75, 1.0),
    "even": Normalization(4, 1.0, 0.5, 2.0),
    "two": Normalization(2, 1.1, 1.0, 0.7),
    "single": Normalization(1, 0.8, 1.0, 1.5),
    "general power": Normalization(5, 0.7, 1.3, 1.2),
    "more than the channels": Normalization(17, 0.9, 0.75, 2.0),
    "blocks": Normalization(4, 0.9, 0.75, 1.0, blocked=True),
    "odd blocks": Normalization(3, 1.1, 1.3, 1.0, blocked=True),
    "one block": Normalization(11, 0.9, 0.5, 1.0, blocked=True),
    "block of more than the channels": Normalization(16, 0.9, 0.75, 1.0, blocked=True),
}


@pytest.fixture(params=NORMS)
def norm(request: pytest.FixtureRequest) -> Normalization:
    return NORMS[request.param]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fprop(norm: Normalization, dtype: str) -> None:
    check_fprop("cmrnorm", norm, SHAPE, dtype)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bprop(norm: Normalization, dtype: str, accumulate: bool) -> None:
    check_bprop("cmrnorm", norm, SHAPE, dtype, accumulate)


def test_gradient_by_differences(norm: Normalization) -> None:
    check_gradient("cmrnorm", norm, SHAPE)


@pytest.mark.parametrize("shape", [(1, 1, 2, 601), (2, 3, 1, 1)])
def test_very_many_channels_and_a_single_one(shape: tuple[int, ...]) -> None:
    check_fprop("cmrnorm", NORMS["usual"], shape, "float64")
    check_bprop("cmrnorm", NORMS["usual"], shape, "float64", accumulate=True)


@pytest.mark.peer
@pytest.mark.parametrize("size", [2, 5])
def test_it_is_pytorchs_local_response_norm(torch: Any, size: int) -> None:
    x = torch.randn(2, 4, 3, 9, dtype=torch.float64, generator=torch.manual_seed(6), requires_grad=True)
    # PyTorch divides its alpha by the size.
    layer = torch.nn.LocalResponseNorm(size, alpha=0.9 * size, beta=0.75, k=2.0)
    expected = layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    dy = np.random.default_rng(7).normal(size=expected.shape)
    (gradient,) = torch.autograd.grad(expected, x, torch.tensor(dy))
    y, dx = np.empty((2, *dy.shape))
    norm = Normalization(size, 0.9, 0.75, 2.0)
    cpu.fprop(device(), x.detach().numpy(), y, norm)()
    cpu.bprop(device(), dy, x.detach().numpy(), dx, norm, accumulate=False)()
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(dx, gradient.numpy(), rtol=1e-11, atol=1e-13)


def test_not_a_number_stays_in_its_windows() -> None:
    x = np.ones((1, 2, 2, 9))
    x[0, 1, 0, 4] = np.nan
    y = np.empty_like(x)
    cpu.fprop(device(), x, y, NORMS["usual"])()
    assert np.isnan(y[0, 1, 0, 2:7]).all()
    assert np.isnan(y).sum() == 5


def test_arrays_that_do_not_fit() -> None:
    x = np.zeros(SHAPE)
    with pytest.raises(ValueError, match="cmrnorm: expected arrays of one shape"):
        cpu.fprop(device(), x, x[1:], NORMS["usual"])
    with pytest.raises(ValueError, match="cmrnorm: expected arrays of one shape"):
        cpu.bprop(device(), x[..., 1:], x, x.copy(), NORMS["usual"], accumulate=False)
