"""What response normalization within maps does beyond test_norms_within_maps.py."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.ops.rnorm import Normalization
from convnet.ops.rnorm.cuda_cut import Cut, cut

from .conftest import Run

NORM = Normalization(3, 0.9, 0.75, 1.0)


def test_not_a_number_is_seen(run: Run) -> None:
    x = np.ones((1, 5, 5, 1), run.dtype)
    x[0, 2, 2, 0] = np.nan
    y = np.empty_like(x)
    run("rnorm.fprop", x, y, NORM)
    assert np.isnan(y[0, 1:4, 1:4]).all()
    assert np.isnan(y).sum() == 9


@pytest.mark.parametrize(
    ("image", "planes", "extra", "room", "expected"),
    [
        ((16, 16, 32), 3, 4, 49152, Cut(16, 2, 16, True)),  # whole images, 32 bytes of each pixel
        ((16, 16, 4), 3, 4, 49152, Cut(16, 1, 16, True)),  # as many channels as there are
        (
            (55, 55, 96),
            1,
            2,
            49152,
            Cut(19, 2, 21, True),
        ),  # strips, as even as can be, which need a row above and below
        ((55, 55, 96), 3, 8, 49152, Cut(10, 1, 18, True)),  # strips of fewer channels, which are higher
        ((55, 55, 96), 3, 16, 49152, Cut(55, 2, 55, False)),  # strips would be lower than what they need beside
        ((55, 55, 96), 1, 0, 1760, Cut(1, 2, 1, True)),  # single rows
        ((55, 55, 96), 1, 0, 879, Cut(55, 2, 55, False)),  # not even these
    ],
)
def test_how_a_gpu_cuts_images(
    image: tuple[int, int, int], planes: int, extra: int, room: int, expected: Cut
) -> None:  # fmt: skip
    assert cut(image, 4, 16, planes, extra, room) == expected


def test_arrays_that_do_not_fit(run: Run) -> None:
    x = np.zeros((3, 6, 5, 7), run.dtype)
    with pytest.raises(ValueError, match="norm"):
        run("rnorm.fprop", x, x[1:], NORM)
    with pytest.raises(ValueError, match="norm"):
        run("rnorm.bprop", x[..., 1:], x, x.copy(), NORM, accumulate=False)
