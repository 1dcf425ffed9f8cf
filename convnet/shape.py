"""Shapes of what layers produce, in cuda-convnet's words: channels, then y, then x."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class Maps(NamedTuple):
    """A stack of feature maps: `channels` images of `y` rows and `x` columns."""

    channels: int
    y: int
    x: int

    @property
    def pixels(self) -> int:
        """Positions in one map."""
        return self.y * self.x

    @property
    def features(self) -> int:
        """Numbers in all maps of one case."""
        return self.channels * self.y * self.x

    def __str__(self) -> str:
        return f"{self.channels}x{self.y}x{self.x}"


@dataclass(frozen=True)
class Shape:
    """The output of a layer for one case.

    `features` numbers in feature order: channel slowest, then y, then x. `maps` says how they form images, or is None
    when they do not.
    """

    features: int
    maps: Maps | None = None

    @staticmethod
    def of_maps(channels: int, y: int, x: int) -> Shape:
        """The shape of `channels` maps of `y` rows and `x` columns."""
        return Shape(channels * y * x, Maps(channels, y, x))

    def square_maps(self, channels: int) -> Maps | None:
        """The features cut into `channels` square maps, as cuda-convnet does; None if that is impossible."""
        if channels < 1 or self.features % channels:
            return None
        side = math.isqrt(self.features // channels)
        return Maps(channels, side, side) if side * side * channels == self.features else None
