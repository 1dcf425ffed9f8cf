"""The numbers of a normalization as the kernels of all three take them."""

from __future__ import annotations

import numpy as np

from convnet.ops.rnorm import Normalization

_USUAL_POWERS = {0.5: 50, 0.75: 75, 1.0: 100}


def power_macro(norm: Normalization) -> int:
    """The macro POWER of <convnet/powers.cuh>: hundredths of the exponents that it computes fast, 0 for all others."""
    return _USUAL_POWERS.get(norm.power, 0)


def numbers(norm: Normalization) -> bytes:
    """The kernels' struct Numbers."""
    return np.array([norm.alpha, norm.power, norm.min_div], np.float32).tobytes()
