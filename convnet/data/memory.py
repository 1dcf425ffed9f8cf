"""The provider of data that lies in memory: every format is read into an `ImageSet` and served by this one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from convnet.data import augment
from convnet.data.augment import Array, Integers
from convnet.data.provider import Batch, DataProvider, ProviderOptions
from convnet.errors import ConvnetError
from convnet.shape import Shape

BATCH_CASES = 10_000  # as CIFAR's
BATCH_BYTES = 256 * 2**20  # the most that a data batch takes as float32, unless the user says otherwise
LARGEST = 1e30  # of numbers that are added to pixels: float32 still holds what becomes of them
MEAN, COLOUR_AXES = "mean", "colour_axes"  # the names of the statistics


@dataclass(frozen=True)
class ImageSet:
    """Cases in memory, the training cases first.

    pixels: (cases, y, x, channels), or (cases, features) for data that is not images; uint8 or float32.
    labels: (cases,) integers, indices of `label_names`.
    train_sizes, test_sizes: the cases in each data batch; together they make up all cases.
    mean: what is subtracted, shaped like one case; None: the mean of the training cases, zeros if there are none.
    """

    description: str
    pixels: Array
    labels: Array
    label_names: list[str]
    train_sizes: list[int]
    test_sizes: list[int]
    mean: Array | None = None
    sample: bool = False

    @property
    def training_pixels(self) -> Array:
        """The pixels of the training cases."""
        return self.pixels[: sum(self.train_sizes)]


def batch_sizes(cases: int, features: int, batch_size: int | None) -> list[int]:
    """How `cases` cases of `features` numbers are cut into data batches; the last one may be smaller."""
    size = batch_size or max(1, min(BATCH_CASES, BATCH_BYTES // (4 * features)))
    return [min(size, cases - start) for start in range(0, cases, size)]


class MemoryProvider(DataProvider):
    """Serves an `ImageSet`: cuts, mirrors, subtracts the mean, adds colour noise.

    Raises ConvnetError where the options do not fit the images.
    """

    def __init__(self, name: str, images: ImageSet, options: ProviderOptions) -> None:
        """Compute the statistics of the training cases."""
        self.name, self.description, self.sample = name, images.description, images.sample
        self.label_names, self.num_classes = images.label_names, len(images.label_names)
        _check_sizes(options)
        self._images, self._options = images, options
        ends = np.cumsum([0, *images.train_sizes, *images.test_sizes]).tolist()
        self._batches = {number: range(*pair) for number, pair in enumerate(pairwise(ends), 1)}
        numbers = list(self._batches)
        self.train_batches = numbers[: len(images.train_sizes)]
        self.test_batches = numbers[len(images.train_sizes) :]
        self._size = self._window(images.pixels.shape[1:])
        self.shapes = [self._image_shape(), Shape(1)]
        self._statistics = self._own_statistics()
        self._subtracted = self._mean()

    def cases(self, batchnum: int) -> int:
        """The number of cases in a batch. Raises ConvnetError for a batch that is not there."""
        return len(self._batch(batchnum))

    def get_batch(
        self, batchnum: int, epoch: int, *, train: bool, shuffle: bool = False, batch_range: Sequence[int] = ()
    ) -> Batch:
        """See DataProvider."""
        cases = self._shuffled(batchnum, epoch, batch_range) if shuffle else np.array(self._batch(batchnum))
        images: Array = np.subtract(self._cut(cases, epoch, train), self._subtracted, dtype=np.float32, order="C")
        if train and self._options.noise:
            words = augment.draw(self._options.seed, augment.NOISE, epoch, cases)
            shifts = augment.colour_shifts(self._statistics[COLOUR_AXES], self._options.noise, words)
            _add_to_pixels(images, shifts.astype(np.float32))
        return [images, self._images.labels[cases, None].astype(np.float32)]

    def statistics(self) -> dict[str, Array]:
        """See DataProvider."""
        return {name: array.copy() for name, array in self._statistics.items()}

    def use_statistics(self, values: Mapping[str, Array]) -> None:
        """See DataProvider."""
        used = {name: np.array(values[name], np.float32) for name in self._statistics if name in values}
        for name, array in used.items():
            own = self._statistics[name].shape
            if array.shape != own:
                raise ConvnetError(
                    f"{self.description}: expected the {name.replace('_', ' ')} that the net was trained with to have "
                    f"the shape of this data's, {own}; found {array.shape}"
                )
        self._statistics |= used
        self._subtracted = self._mean()

    def _batch(self, batchnum: int) -> range:
        """The cases of a batch."""
        if batchnum not in self._batches:
            raise ConvnetError(f"{self.description}: expected a batch from 1 to {len(self._batches)}, found {batchnum}")
        return self._batches[batchnum]

    def _shuffled(self, batchnum: int, epoch: int, batch_range: Sequence[int]) -> Integers:
        """The cases that make up a batch when all cases of `batch_range` are in a new order."""
        every = np.concatenate([self._batch(number) for number in batch_range])
        start = sum(self.cases(number) for number in batch_range[: batch_range.index(batchnum)])
        return augment.permutation(self._options.seed, epoch, every)[start : start + self.cases(batchnum)]

    def _cut(self, cases: Integers, epoch: int, train: bool) -> Array:
        """The pixels of the cases, cropped and mirrored."""
        pixels, options = self._images.pixels, self._options
        if self._size is None:
            return pixels[cases]
        if not train:
            return augment.centre(pixels, self._size)[cases]
        words = augment.draw(options.seed, augment.GEOMETRY, epoch, cases)
        cut = augment.random_crops(pixels, cases, self._size, words)
        if options.augments_by_flips:
            augment.mirror(cut, words[:, 2])
        return cut

    def _window(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """(y, x) of the images after cropping; None for data that is not images."""
        options = self._options
        if len(shape) == 1:
            if options.crop or options.crop_border or options.augments_by_flips:
                raise ConvnetError(f"{self.description}: expected images to crop or flip, found plain features")
            return None
        border = 2 * options.crop_border
        y, x = (options.crop, options.crop) if options.crop else (shape[0] - border, shape[1] - border)
        if not (0 < y <= shape[0] and 0 < x <= shape[1]):
            wanted = f"crop {options.crop}" if options.crop else f"crop border {options.crop_border}"
            raise ConvnetError(f"{self.description}: {wanted} does not fit into images of {shape[0]}x{shape[1]} pixels")
        return y, x

    def _image_shape(self) -> Shape:
        """The shape of one case after cropping."""
        channels = self._images.pixels.shape[-1]
        return Shape(channels) if self._size is None else Shape.of_maps(channels, *self._size)

    def _own_statistics(self) -> dict[str, Array]:
        """The statistics of the training cases. Raises ConvnetError for colour noise on images without colours."""
        images = self._images
        mean = _mean_case(images.training_pixels) if images.mean is None else images.mean
        found = {MEAN: mean}
        if self._options.noise:
            if self._size is None or images.pixels.shape[-1] != 3:
                raise ConvnetError(f"{self.description}: expected images of 3 channels for colour noise")
            found[COLOUR_AXES] = augment.colour_axes(images.training_pixels)
        return {name: np.ascontiguousarray(array, np.float32) for name, array in found.items()}

    def _mean(self) -> Array:
        """The mean image after cropping, or the scalar that stands for it."""
        if self._options.scalar_mean is not None:
            return np.array(self._options.scalar_mean, np.float32)
        mean = self._statistics[MEAN]
        return mean if self._size is None else np.ascontiguousarray(augment.centre(mean, self._size))


def _check_sizes(options: ProviderOptions) -> None:
    """Raises ConvnetError for a number that float32 pixels cannot take in."""
    for name, value in (("noise", options.noise), ("scalar mean", options.scalar_mean)):
        if value is not None and abs(value) > LARGEST:
            raise ConvnetError(f"{name}: expected a number of at most {LARGEST:g} in size, found {value:g}")


def _mean_case(pixels: Array) -> Array:
    """The mean of all cases; zeros where there are none."""
    return pixels.mean(axis=0, dtype=np.float64) if len(pixels) else np.zeros(pixels.shape[1:])


def _add_to_pixels(images: Array, shifts: Array) -> None:
    """Add to every pixel of an image, in place: images (n, y, x, channels), shifts (n, channels)."""
    cases, y, x, channels = images.shape
    rows = images.reshape(cases, y, x * channels)  # a long inner axis, for speed
    rows += np.tile(shifts, (1, x))[:, None]
