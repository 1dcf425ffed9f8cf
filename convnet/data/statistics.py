"""What providers of images share: the window that a net sees, the order of the cases, and the statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from convnet.data import augment
from convnet.data.augment import Array, Integers
from convnet.data.provider import ProviderOptions
from convnet.errors import ConvnetError

LARGEST = 1e30  # of numbers that are added to pixels: float32 still holds what becomes of them
MEAN, COLOUR_AXES = "mean", "colour_axes"  # the names of the statistics

Size = tuple[int, int]


def window(shape: Size, options: ProviderOptions, description: str) -> Size:
    """(y, x) of images of `shape` (y, x) after cropping. Raises ConvnetError where the crop does not fit into them."""
    border = 2 * options.crop_border
    y, x = (options.crop, options.crop) if options.crop else (shape[0] - border, shape[1] - border)
    if not (0 < y <= shape[0] and 0 < x <= shape[1]):
        wanted = f"crop {options.crop}" if options.crop else f"crop border {options.crop_border}"
        raise ConvnetError(f"{description}: {wanted} does not fit into images of {shape[0]}x{shape[1]} pixels")
    return y, x


def check_views(options: ProviderOptions, description: str) -> None:
    """Raises ConvnetError where images are not cropped, so that there are no views of them."""
    if not (options.crop or options.crop_border):
        raise ConvnetError(f"{description}: expected a crop (--crop or --crop-border) for views of images, found none")


def shuffled(batches: Sequence[range], index: int, seed: int, epoch: int) -> Integers:
    """The cases that make up batch `index` of `batches` when the cases of all of them are in a new order."""
    start = sum(map(len, batches[:index]))
    return _order(seed, epoch, tuple(batches))[start : start + len(batches[index])]


@lru_cache(maxsize=2)  # all batches of an epoch ask for the same; the first of the next one is prepared meanwhile
def _order(seed: int, epoch: int, ranges: tuple[range, ...]) -> Integers:
    """The cases of all ranges in the order of an epoch."""
    return augment.permutation(seed, epoch, np.concatenate([np.arange(part.start, part.stop) for part in ranges]))


class Statistics:
    """The mean image and the colour axes, and what they do to images.

    subtracted: the mean after cropping, or the scalar that stands for it: shaped like a case, or ().

    Raises ConvnetError for options that float32 pixels cannot take in.
    """

    def __init__(
        self, description: str, options: ProviderOptions, size: Size | None, mean: Array, colour_axes: Array | None
    ) -> None:
        """size: (y, x) after cropping, None for data that is not images. colour_axes: only with colour noise."""
        _check_sizes(options)
        self._description, self._options, self._size = description, options, size
        found = {MEAN: mean} if colour_axes is None else {MEAN: mean, COLOUR_AXES: colour_axes}
        self._values = {name: np.array(array, np.float32, order="C") for name, array in found.items()}
        self.subtracted = self._mean()

    def copies(self) -> dict[str, Array]:
        """See DataProvider.statistics."""
        return {name: array.copy() for name, array in self._values.items()}

    def use(self, values: Mapping[str, Array]) -> None:
        """See DataProvider.use_statistics."""
        used = {name: np.array(values[name], np.float32) for name in self._values if name in values}
        for name, array in used.items():
            own = self._values[name].shape
            if array.shape != own:
                raise ConvnetError(
                    f"{self._description}: expected the {name.replace('_', ' ')} that the net was trained with to have "
                    f"the shape of this data's, {own}; found {array.shape}"
                )
        self._values |= used
        self.subtracted = self._mean()

    def shifts(self, epoch: int, cases: Integers) -> Array | None:
        """The colour noise of training cases, (n, 3) float32; None where there is none to be added."""
        if not self._options.noise:
            return None
        words = augment.draw(self._options.seed, augment.NOISE, epoch, cases)
        return augment.colour_shifts(self._values[COLOUR_AXES], self._options.noise, words).astype(np.float32)

    def _mean(self) -> Array:
        """What is subtracted."""
        if self._options.scalar_mean is not None:
            return np.array(self._options.scalar_mean, np.float32)
        mean = self._values[MEAN]
        return mean if self._size is None else np.ascontiguousarray(augment.centre(mean, self._size))


def _check_sizes(options: ProviderOptions) -> None:
    """Raises ConvnetError for a number that float32 pixels cannot take in."""
    for name, value in (("noise", options.noise), ("scalar mean", options.scalar_mean)):
        if value is not None and abs(value) > LARGEST:
            raise ConvnetError(f"{name}: expected a number of at most {LARGEST:g} in size, found {value:g}")
