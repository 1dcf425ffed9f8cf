"""What response normalization within maps does beyond test_norms_within_maps.py."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.ops.rnorm import Normalization, cpu

from .normalization_checks import device

NORM = Normalization(3, 0.9, 0.75, 1.0)


def test_not_a_number_is_seen() -> None:
    x = np.ones((1, 5, 5, 1))
    x[0, 2, 2, 0] = np.nan
    y = np.empty_like(x)
    cpu.fprop(device(), x, y, NORM)()
    assert np.isnan(y[0, 1:4, 1:4]).all()
    assert np.isnan(y).sum() == 9


def test_arrays_that_do_not_fit() -> None:
    x = np.zeros((3, 6, 5, 7))
    with pytest.raises(ValueError, match="normalization: expected arrays of one shape"):
        cpu.fprop(device(), x, x[1:], NORM)
    with pytest.raises(ValueError, match="normalization: expected arrays of one shape"):
        cpu.bprop(device(), x[..., 1:], x, x.copy(), NORM, accumulate=False)
