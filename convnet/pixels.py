"""Images on their way to a net as they are stored, one byte for each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Pixels:
    """The images of a minibatch, which the net's device normalizes: a value becomes value - mean + shift.

    values: (n, y, x, channels) uint8. shifts: (n, channels) float32, what is added to all pixels of a case (colour
    noise); None for nothing.
    """

    values: Array
    shifts: Array | None = None

    def __len__(self) -> int:
        """The number of images."""
        return len(self.values)

    def __getitem__(self, cases: slice) -> Pixels:
        """Some of the images."""
        return Pixels(self.values[cases], None if self.shifts is None else self.shifts[cases])

    def normalized(self, mean: Array) -> Array:
        """The images as a net takes them: (n, y, x, channels) float32. mean: (y, x, channels) or ()."""
        images: Array = np.subtract(self.values, mean, dtype=np.float32, order="C")
        if self.shifts is not None:
            images += self.shifts[:, None, None]
        return images


# What a net takes at once, one array for each matrix of the data provider, cases first: images (n, y, x, channels) or
# (n, features), labels (n, 1), perhaps the label matrix (n, classes). Images may be Pixels.
Minibatch = Sequence[Array | Pixels]
