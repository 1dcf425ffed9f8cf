"""Blurring images by a Gaussian: the layer blur.

    y[i, j] = sum over k, l of tap[k] tap[l] x[i + k - m, j + l - m],     tap[k] = exp(-(k - m)^2 / 2 stdev^2) / sum

m is size/2, rounded down; all taps add up to 1. Pixels outside the image are 0; the taps left at an edge are not scaled
up. Each channel is blurred by itself. The taps are symmetric: the backward pass is `apply` with the gradients.

x, y: (n, y, x, channel) of one shape, different arrays.

    apply(dev, x, y, blur, *, accumulate)       y (+)= the blurred x

Source: cuda-convnet (GaussianBlurLayerParser in layer.py, convGaussianBlur in conv_util.cu).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Blur:
    """A Gaussian: `size` pixels wide, an odd number; standard deviation in pixels."""

    size: int
    stdev: float

    @property
    def taps(self) -> list[float]:
        """The factors along one axis, which add up to 1."""
        # Divided first, and multiplied: the square of a small stdev would be 0, that of a large quotient an error.
        distances = [(k - self.size // 2) / self.stdev for k in range(self.size)]
        weights = [math.exp(-distance * distance / 2) for distance in distances]
        return [weight / sum(weights) for weight in weights]


def check_apply(x: Any, y: Any) -> None:
    """Raises ValueError unless x and y, arrays of any backend, are images of one shape."""
    if x.shape != y.shape or len(x.shape) != 4:
        raise ValueError(f"blur: expected images of one shape, found {x.shape} and {y.shape}")
