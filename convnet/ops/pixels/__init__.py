"""Images as they are stored, one byte for each value, become activations.

    normalize(dev, values, mean, shifts, y)

        y[n, i, j, c] = (values[n, i, j, c] - mean[i, j, c]) + shifts[n, c]

values: (n, y, x, c) uint8. mean: (y, x, c), what is subtracted. shifts: (n, c), what is added to all pixels of a case
(colour noise). y: (n, y, x, c). First the difference, then the sum is computed in the type of mean and shifts, which is
that of weights, and rounded to the type of y: in float32 these are the bits of `convnet.pixels.Pixels.normalized`.
There is no backward pass.
"""

from __future__ import annotations

from typing import Any


def check_normalize(values: Any, mean: Any, shifts: Any, y: Any) -> None:
    """Raises ValueError unless the arrays, of any backend, are what the contract says."""
    shape = values.shape
    if len(shape) != 4 or y.shape != shape or mean.shape != shape[1:] or shifts.shape != (shape[0], shape[3]):
        found = f"values {shape}, mean {mean.shape}, shifts {shifts.shape}, y {y.shape}"
        raise ValueError(f"pixels: expected images of one shape, their mean and a shift of each channel, found {found}")
