"""Response normalization across maps against loops in float64, PyTorch and differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet.ops.rnorm import Normalization

from .conftest import Run
from .normalization_checks import check_bprop, check_fprop, check_gradient, check_repeats, float64_run, poison

# 90 pixels: on the CPU more than one strip, and the last one is not full.
SHAPE = (3, 6, 5, 11)
# On a GPU: channels in packs of 16 bytes, and rows of more than one warp, the last one not full.
PACKED = (2, 3, 7, 40)
NORMS = {
    "usual": Normalization(5, 0.9, 0.75, 2.0),
    "three": Normalization(3, 1.0, 0.75, 1.0),
    "even": Normalization(4, 1.0, 0.5, 2.0),
    "two": Normalization(2, 1.1, 1.0, 0.7),
    "single": Normalization(1, 0.8, 1.0, 1.5),
    "general power": Normalization(5, 0.7, 1.3, 1.2),
    "the largest that kernels unroll": Normalization(9, 0.9, 0.75, 2.0),
    "the smallest that they do not": Normalization(10, 0.9, 0.75, 2.0),
    "more than the channels": Normalization(17, 0.9, 0.75, 2.0),
    "blocks": Normalization(4, 0.9, 0.75, 1.0, blocked=True),
    "odd blocks": Normalization(3, 1.1, 1.3, 1.0, blocked=True),
    "one block": Normalization(11, 0.9, 0.5, 1.0, blocked=True),
    "block of more than the channels": Normalization(16, 0.9, 0.75, 1.0, blocked=True),
}


@pytest.fixture(params=NORMS)
def norm(request: pytest.FixtureRequest) -> Normalization:
    return NORMS[request.param]


@pytest.mark.parametrize("shape", [SHAPE, PACKED])
def test_fprop(run: Run, norm: Normalization, shape: tuple[int, ...]) -> None:
    check_fprop(run, "cmrnorm", norm, shape)


@pytest.mark.parametrize("shape", [SHAPE, PACKED])
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop(run: Run, norm: Normalization, shape: tuple[int, ...], accumulate: bool) -> None:
    check_bprop(run, "cmrnorm", norm, shape, accumulate)


def test_gradient_by_differences(norm: Normalization) -> None:
    check_gradient("cmrnorm", norm, SHAPE)


@pytest.mark.parametrize("shape", [(1, 1, 2, 601), (2, 3, 1, 1)])
def test_very_many_channels_and_a_single_one(run: Run, shape: tuple[int, ...]) -> None:
    check_fprop(run, "cmrnorm", NORMS["usual"], shape)
    check_bprop(run, "cmrnorm", NORMS["usual"], shape, accumulate=True)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_more_channels_than_shared_memory_holds(
    cuda_device: Any, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels are computed in the workspace, here by fewer blocks than there are pixels."""
    device = cuda_device(precision)
    monkeypatch.setattr("convnet.ops.cmrnorm.cuda._SHARED", 8 * 70 - 1)
    monkeypatch.setattr("convnet.ops.cmrnorm.cuda._BLOCKS", 1)
    monkeypatch.setattr(device, "processors", 2)
    run = Run(device, device.activations, precision)
    check_bprop(run, "cmrnorm", NORMS["blocks"], (2, 3, 1, 70), accumulate=False)
    check_bprop(run, "cmrnorm", NORMS["more than the channels"], (2, 3, 1, 70), accumulate=False)


@pytest.mark.parametrize("norm", [NORMS["usual"], NORMS["blocks"]], ids=["sliding", "blocks"])
def test_the_same_bits_each_time(run: Run, norm: Normalization) -> None:
    check_repeats(run, "cmrnorm", norm, PACKED)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_more_rows_than_blocks(cuda_device: Any, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = cuda_device(precision)
    monkeypatch.setattr("convnet.backends.cuda.grid._BLOCKS", 1)
    run = Run(device, device.activations, precision)
    check_fprop(run, "cmrnorm", NORMS["usual"], (50, 3, 2, 40))
    check_bprop(run, "cmrnorm", NORMS["usual"], (50, 3, 2, 40), accumulate=True)


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
    norm, run = Normalization(size, 0.9, 0.75, 2.0), float64_run()
    run("cmrnorm.fprop", x.detach().numpy(), y, norm)
    run("cmrnorm.bprop", dy, x.detach().numpy(), dx, norm, accumulate=False)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(dx, gradient.numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("channels", [9, 16])
def test_not_a_number_stays_in_its_windows(run: Run, channels: int) -> None:
    x = np.ones((1, 2, 2, channels), run.dtype)
    x[0, 1, 0, 4] = np.nan
    y, dx = np.empty_like(x), np.empty_like(x)
    poison(run)
    run("cmrnorm.fprop", x, y, NORMS["usual"])
    assert np.isnan(y[0, 1, 0, 2:7]).all()
    assert np.isnan(y).sum() == 5
    run("cmrnorm.bprop", np.ones_like(x), x, dx, NORMS["usual"], accumulate=False)
    assert np.isnan(dx[0, 1, 0, :9]).all()
    assert np.isnan(dx).sum() == 9


def test_arrays_that_do_not_fit(run: Run) -> None:
    x = np.zeros(SHAPE, run.dtype)
    with pytest.raises(ValueError, match="cmrnorm: "):
        run("cmrnorm.fprop", x, x[1:], NORMS["usual"])
    with pytest.raises(ValueError, match="cmrnorm: "):
        run("cmrnorm.bprop", x[..., 1:], x, x.copy(), NORMS["usual"], accumulate=False)
