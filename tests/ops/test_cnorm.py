"""What contrast normalization does beyond test_norms_within_maps.py."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.ops.rnorm import Normalization

from .conftest import Run
from .normalization_checks import TOLERANCE


def test_a_flat_image_is_only_divided_by_the_constant(run: Run) -> None:
    x = np.full((3, 5, 7, 3), 3.0).astype(run.dtype)
    y = np.empty_like(x)
    run("cnorm.fprop", x, y, Normalization(3, 1.0, 0.5, 4.0))
    np.testing.assert_allclose(y.astype(np.float64), 1.5, rtol=TOLERANCE[run.dtype.name])


def test_arrays_that_do_not_fit(run: Run) -> None:
    x = np.zeros((3, 6, 5, 7), run.dtype)
    with pytest.raises(ValueError, match="norm"):
        run("cnorm.fprop", x, x[1:], Normalization(3, 1.0, 0.5, 4.0))
