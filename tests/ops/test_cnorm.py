"""What contrast normalization does beyond test_norms_within_maps.py."""

from __future__ import annotations

import numpy as np

from convnet.ops.cnorm import cpu
from convnet.ops.rnorm import Normalization

from .normalization_checks import device


def test_a_flat_image_is_only_divided_by_the_constant() -> None:
    x = np.full((3, 5, 7, 3), 3.0)
    y = np.empty_like(x)
    cpu.fprop(device(), x, y, Normalization(3, 1.0, 0.5, 4.0))()
    np.testing.assert_allclose(y, 1.5, rtol=1e-14)
