"""What both normalizations within maps, rnorm and cnorm, must do: loops in float64, and differences."""

from __future__ import annotations

from typing import Any

import pytest

from convnet.ops.rnorm import Normalization

from .conftest import Run
from .normalization_checks import check_bprop, check_fprop, check_gradient, check_repeats

SHAPES = [(3, 6, 5, 7), (3, 5, 7, 3)]
PACKED = (2, 7, 5, 24)  # on a GPU: channels four at a time, and two blocks for each image
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
@pytest.mark.parametrize("shape", [*SHAPES, PACKED])
def test_fprop(run: Run, operation: str, norm: Normalization, shape: tuple[int, ...]) -> None:
    check_fprop(run, operation, norm, shape)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("shape", [*SHAPES, PACKED])
@pytest.mark.parametrize("accumulate", [False, True])
def test_bprop(run: Run, operation: str, norm: Normalization, shape: tuple[int, ...], accumulate: bool) -> None:
    check_bprop(run, operation, norm, shape, accumulate)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_by_differences(operation: str, norm: Normalization, shape: tuple[int, ...]) -> None:
    check_gradient(operation, norm, shape)


def test_one_case_and_one_channel(run: Run, operation: str) -> None:
    check_fprop(run, operation, NORMS["usual"], (1, 4, 9, 1))
    check_bprop(run, operation, NORMS["usual"], (1, 4, 9, 1), accumulate=False)


def test_the_same_bits_each_time(run: Run, operation: str) -> None:
    check_repeats(run, operation, NORMS["usual"], PACKED)


@pytest.mark.gpu
@pytest.mark.parametrize("norm", [NORMS["usual"], NORMS["two"], NORMS["even"]], ids=["usual", "two", "even"])
@pytest.mark.parametrize("shape", [(2, 23, 4, 12), (1, 23, 3, 5)])
@pytest.mark.parametrize("room", [1500, 5600])
def test_images_that_shared_memory_does_not_hold(
    cuda_device: Any, operation: str, norm: Normalization, shape: tuple[int, ...], room: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """They are cut into strips: with the smaller room in fprop, with the larger one in bprop."""
    run = Run(cuda_device("fp32"), "float32", "fp32")
    monkeypatch.setattr("convnet.ops.rnorm.cuda_cut.SHARED", room)
    check_fprop(run, operation, norm, shape)
    check_bprop(run, operation, norm, shape, accumulate=True)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_images_of_which_it_does_not_hold_enough(
    cuda_device: Any, operation: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are computed in the workspace, here by fewer blocks than there are images."""
    device = cuda_device(precision)
    run = Run(device, device.activations, precision)
    monkeypatch.setattr("convnet.ops.rnorm.cuda_cut.SHARED", 100)
    monkeypatch.setattr("convnet.ops.rnorm.cuda_strips._BLOCKS", 1)
    monkeypatch.setattr(device, "processors", 3)
    check_fprop(run, operation, NORMS["usual"], (2, 6, 5, 40))
    check_bprop(run, operation, NORMS["usual"], (2, 6, 5, 40), accumulate=True)
