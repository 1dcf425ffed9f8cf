"""The provider of data that lies in memory: every format is read into an `ImageSet` and served by this one class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from convnet.data import augment
from convnet.data.augment import Array, Integers
from convnet.data.provider import VIEWS, Batch, DataProvider, ProviderOptions
from convnet.data.statistics import Size, Statistics, check_views, shuffled, window
from convnet.errors import ConvnetError
from convnet.pixels import Minibatch
from convnet.shape import Shape

BATCH_CASES = 10_000  # as CIFAR's
BATCH_BYTES = 256 * 2**20  # the most that a data batch takes as float32, unless the user says otherwise


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
        self._images, self._options = images, options
        ends = np.cumsum([0, *images.train_sizes, *images.test_sizes]).tolist()
        self._batches = {number: range(*pair) for number, pair in enumerate(pairwise(ends), 1)}
        numbers = list(self._batches)
        self.train_batches = numbers[: len(images.train_sizes)]
        self.test_batches = numbers[len(images.train_sizes) :]
        self._size = self._window(images.pixels.shape[1:])
        self.shapes = [self._image_shape(), Shape(1)]
        self._statistics = self._own_statistics()

    def cases(self, batchnum: int) -> int:
        """The number of cases in a batch. Raises ConvnetError for a batch that is not there."""
        return len(self._batch(batchnum))

    def get_batch(
        self, batchnum: int, epoch: int, *, train: bool, shuffle: bool = False, batch_range: Sequence[int] = (),
        view: int | None = None,
    ) -> Batch:  # fmt: skip
        """See DataProvider."""
        if view is not None:
            check_views(self._options, self.description)
        return self._ready(self._cases(batchnum, epoch, batch_range if shuffle else None), epoch, train, view)

    def open_batch(
        self, batchnum: int, epoch: int, mini: int, *, train: bool, shuffle: bool = False,
        batch_range: Sequence[int] = (), first: int = 0, multiview: bool = False,
    ) -> Iterator[Minibatch]:  # fmt: skip
        """See DataProvider. The views are cut when they are asked for: all of a batch would fill the memory."""
        if not multiview:
            return super().open_batch(
                batchnum, epoch, mini, train=train, shuffle=shuffle, batch_range=batch_range, first=first
            )
        check_views(self._options, self.description)
        cases = self._cases(batchnum, epoch, batch_range if shuffle else None)
        starts = range(first, len(cases), mini)
        return (
            self._ready(cases[start : start + mini], epoch, train, view) for start in starts for view in range(VIEWS)
        )

    def statistics(self) -> dict[str, Array]:
        """See DataProvider."""
        return self._statistics.copies()

    def use_statistics(self, values: Mapping[str, Array]) -> None:
        """See DataProvider."""
        self._statistics.use(values)

    def _batch(self, batchnum: int) -> range:
        """The cases of a batch."""
        if batchnum not in self._batches:
            raise ConvnetError(f"{self.description}: expected a batch from 1 to {len(self._batches)}, found {batchnum}")
        return self._batches[batchnum]

    def _cases(self, batchnum: int, epoch: int, shuffled_range: Sequence[int] | None) -> Integers:
        """The cases that make up a batch; with a range, when all cases of it are in a new order."""
        if shuffled_range is None:
            return np.array(self._batch(batchnum))
        batches = [self._batch(number) for number in shuffled_range]
        return shuffled(batches, shuffled_range.index(batchnum), self._options.seed, epoch)

    def _ready(self, cases: Integers, epoch: int, train: bool, view: int | None) -> Batch:
        """The matrices of some cases."""
        cut = self._cut(cases, epoch, train, view)
        images: Array = np.subtract(cut, self._statistics.subtracted, dtype=np.float32, order="C")
        shifts = self._statistics.shifts(epoch, cases) if train else None
        if shifts is not None:
            _add_to_pixels(images, shifts)
        return [images, self._images.labels[cases, None].astype(np.float32)]

    def _cut(self, cases: Integers, epoch: int, train: bool, view: int | None) -> Array:
        """The pixels of the cases, cropped and mirrored."""
        pixels, options = self._images.pixels, self._options
        if self._size is None:
            return pixels[cases]
        if not train:
            return augment.window_of_view(pixels, self._size, augment.CENTRE if view is None else view)[cases]
        words = augment.draw(options.seed, augment.GEOMETRY, epoch, cases)
        cut = augment.random_crops(pixels, cases, self._size, words)
        if options.augments_by_flips:
            augment.mirror(cut, words[:, 2])
        return cut

    def _window(self, shape: tuple[int, ...]) -> Size | None:
        """(y, x) of the images after cropping; None for data that is not images."""
        options = self._options
        if len(shape) == 1:
            if options.crop or options.crop_border or options.augments_by_flips:
                raise ConvnetError(f"{self.description}: expected images to crop or flip, found plain features")
            return None
        return window((shape[0], shape[1]), options, self.description)

    def _image_shape(self) -> Shape:
        """The shape of one case after cropping."""
        channels = self._images.pixels.shape[-1]
        return Shape(channels) if self._size is None else Shape.of_maps(channels, *self._size)

    def _own_statistics(self) -> Statistics:
        """The statistics of the training cases. Raises ConvnetError for colour noise on images without colours."""
        images, axes = self._images, None
        mean = _mean_case(images.training_pixels) if images.mean is None else images.mean
        if self._options.noise:
            if self._size is None or images.pixels.shape[-1] != 3:
                raise ConvnetError(f"{self.description}: expected images of 3 channels for colour noise")
            axes = augment.colour_axes(images.training_pixels)
        return Statistics(self.description, self._options, self._size, mean, axes)


def _mean_case(pixels: Array) -> Array:
    """The mean of all cases; zeros where there are none."""
    return pixels.mean(axis=0, dtype=np.float64) if len(pixels) else np.zeros(pixels.shape[1:])


def _add_to_pixels(images: Array, shifts: Array) -> None:
    """Add to every pixel of an image, in place: images (n, y, x, channels), shifts (n, channels)."""
    cases, y, x, channels = images.shape
    rows = images.reshape(cases, y, x * channels)  # a long inner axis, for speed
    rows += np.tile(shifts, (1, x))[:, None]
