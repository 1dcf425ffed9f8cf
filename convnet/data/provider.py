"""What a data provider is, and the options that all of them share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convnet.data.augment import Array
from convnet.errors import ConvnetError
from convnet.pixels import Minibatch
from convnet.shape import Maps, Shape

Batch = list[np.ndarray[Any, np.dtype[np.float32]]]

VIEWS = 10  # of an image in a multiview test: the four corners and the centre, then the same mirrored
# Beyond these, an option is a slip of the hand.
LARGEST_SIDE = 65536  # of images, in pixels
MOST_WORKERS = 1024


@dataclass(frozen=True)
class ProviderOptions:
    """How to read data and what to do to the images.

    path: a file or a folder; None for the built-in sample and for dummy data.
    provider: the name of a provider; None to recognize the data by the path.
    input: the images the net wants, which the built-in sample and folders of images are brought to.
    crop: side of the square cut from each image, 0 for none (--inner-size).
    crop_border: half of what is cut from images in y and in x (--crop-border): 32 pixels and a border of 4 give 24. At
        most one of `crop` and `crop_border`.
    flip: mirror half of the training images; None: exactly when cropping, as cuda-convnet does.
    noise: scale of the colour noise added to training images (--color-noise).
    scalar_mean: what is subtracted from every pixel, instead of the mean image (--scalar-mean).
    batch_size: cases in one data batch; None for what the data says.
    test_share: the part of the cases that becomes the test set, for data that has none.
    image_size: side of the square that images are brought to before cropping, for folders of images and the built-in
        sample; None for `source_size`, what `crop` or `input` ask for.
    seed: of the crops, flips, noise and the shuffling.
    workers: the processes that decode images, for batches of photographs; None for the cores this process may use.

    Raises ConvnetError where a value is out of its range.
    """

    path: Path | None = None
    provider: str | None = None
    input: Maps | None = None
    crop: int = 0
    crop_border: int = 0
    flip: bool | None = None
    noise: float = 0.0
    scalar_mean: float | None = None
    batch_size: int | None = None
    test_share: float | None = None
    image_size: int | None = None
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        _expect(self.crop >= 0, "crop", "an integer of at least 0", self.crop)
        _expect(self.crop_border >= 0, "crop border", "an integer of at least 0", self.crop_border)
        _expect(math.isfinite(self.noise) and self.noise >= 0, "noise", "a number of at least 0", self.noise)
        mean, size, side = self.scalar_mean, self.batch_size, self.image_size
        _expect(mean is None or math.isfinite(mean), "scalar mean", "a finite number", mean)
        _expect(size is None or size >= 1, "batch size", "an integer of at least 1", size)
        workers = self.workers
        numbers = f"an integer from 1 to {MOST_WORKERS}"
        _expect(workers is None or 1 <= workers <= MOST_WORKERS, "workers", numbers, workers)
        _expect(side is None or side >= 1, "image size", "an integer of at least 1", side)
        sides = {"image size": side or 0, "crop": self.crop, "input": max(self.input[1:]) if self.input else 0}
        for name, found in sides.items():
            _expect(found <= LARGEST_SIDE, name, f"at most {LARGEST_SIDE} pixels a side", found)
        share = self.test_share
        _expect(share is None or 0 < share < 1, "test share", "a number above 0 and below 1", share)
        if self.crop and self.crop_border:
            raise ConvnetError("crop and crop border: expected one of them, found both")

    @property
    def data_path(self) -> Path:
        """The path, for providers that need one. Raises ConvnetError where there is none."""
        if self.path is None:
            raise ConvnetError(f"data provider {self.provider}: expected the path of its data (--data)")
        return self.path

    @property
    def augments_by_flips(self) -> bool:
        """Whether training images are mirrored at random."""
        return bool(self.crop or self.crop_border) if self.flip is None else self.flip

    @property
    def source_size(self) -> tuple[int, int] | None:
        """(y, x) that images should be brought to so that, after cropping, they fit the net; None if nothing says.

        With `crop`, an input larger than it is what is cropped; otherwise images are 8/7 of it, as AlexNet's 256 are of
        224.
        """
        if self.image_size is not None:
            return self.image_size, self.image_size
        if self.crop and not (self.input and min(self.input.y, self.input.x) > self.crop):
            return self.crop * 8 // 7, self.crop * 8 // 7
        if self.input is None:
            return None
        return self.input.y + 2 * self.crop_border, self.input.x + 2 * self.crop_border


def _expect(holds: bool, name: str, expected: str, found: object) -> None:
    """Raise ConvnetError unless `holds`."""
    if not holds:
        raise ConvnetError(f"{name}: expected {expected}, found {found}")


class DataProvider(ABC):
    """Cases in numbered data batches, ready for a net.

    name: of the provider. description: what data this is.
    train_batches, test_batches: the numbers of the batches; training starts at 1, as in cuda-convnet.
    shapes: what one case of each matrix of a batch looks like: [images after cropping, labels], and the label matrix if
        the data has more to say than one label a case.
    label_names: of the `num_classes` classes. sample: whether this is built-in data for trying things out.
    subtracted: what a net has to subtract from images that come as Pixels, (y, x, channels) or (); None where they come
        ready, as float32.
    """

    name: str
    description: str
    train_batches: list[int]
    test_batches: list[int]
    shapes: list[Shape]
    num_classes: int
    label_names: list[str]
    sample: bool
    subtracted: Array | None = None

    @property
    def matrix_shapes(self) -> list[Shape]:
        """What one case of each matrix that a net may take looks like: images, labels, label matrix.

        The label matrix is (case, class), 1 for the class of the case and 0 otherwise. Where batches lack it, the net
        makes it of the labels, if it takes it at all.
        """
        return self.shapes if len(self.shapes) > 2 else [*self.shapes, Shape(self.num_classes)]

    @abstractmethod
    def cases(self, batchnum: int) -> int:
        """The number of cases in a batch. Raises ConvnetError for a batch that is not there."""

    @abstractmethod
    def get_batch(
        self, batchnum: int, epoch: int, *, train: bool, shuffle: bool = False, batch_range: Sequence[int] = (),
        view: int | None = None,
    ) -> Batch:  # fmt: skip
        """One data batch as float32, C-contiguous matrices, one for each of `shapes`.

        Images are (case, y, x, channel), or (case, feature) for data that is not images, with the mean subtracted;
        labels are (case, 1). In training (`train`) images are cropped and mirrored at random; otherwise the centre is
        taken. What is drawn for a case depends on the seed, the epoch and the case alone.

        With `shuffle`, all cases of `batch_range` are put in a new order every epoch and cut into batches of the sizes
        they had; `batchnum` must be one of them. Safe to call from several threads.

        With `view`, 0 .. VIEWS-1, which is not for training, not the centre of each image but one of these windows:
        upper left, upper right, centre, lower left, lower right; from 5 on the same, mirrored.

        Raises ConvnetError for a batch that is not there, and for a view of images that are not cropped.
        """

    def open_batch(
        self, batchnum: int, epoch: int, mini: int, *, train: bool, shuffle: bool = False,
        batch_range: Sequence[int] = (), first: int = 0, multiview: bool = False,
    ) -> Iterator[Minibatch]:  # fmt: skip
        """One data batch, cut in order into minibatches of `mini` cases, from case `first`; the last may be shorter.

        What takes long begins at once; a minibatch stays as it is until the next one is asked for. With `multiview` all
        VIEWS views of a minibatch come one after the other. The rest is as for `get_batch`.
        """
        views = range(VIEWS) if multiview else (None,)
        batches = [
            self.get_batch(batchnum, epoch, train=train, shuffle=shuffle, batch_range=batch_range, view=view)
            for view in views
        ]
        starts = range(first, self.cases(batchnum), mini)
        return ([matrix[start : start + mini] for matrix in batch] for start in starts for batch in batches)

    def close(self) -> None:  # noqa: B027 - most providers hold nothing
        """End what batches that were opened hold, such as processes; whoever opens data and reads it calls this."""

    @abstractmethod
    def statistics(self) -> dict[str, Array]:
        """What of the training cases a net gets used to and must meet again in testing, as named float32 arrays.

        "mean": of the whole images, before cropping, (y, x, channels), or (features,) for data that is not images.
        "colour_axes": (axis, colour), see `augment.colour_axes`; only with colour noise. A provider that has no
        statistics returns {}.
        """

    @abstractmethod
    def use_statistics(self, values: Mapping[str, Array]) -> None:
        """Use the `statistics` of other data, those a net was trained with, from the next batch on.

        Those that `values` lacks remain, and those that this provider has no use for are passed over. A scalar mean
        still goes before the mean image.

        Raises ConvnetError where a shape is not that of this provider's own array.
        """

    def describe(self) -> str:
        """One line for users: what data this is and how much of it."""
        train, test = (sum(map(self.cases, numbers)) for numbers in (self.train_batches, self.test_batches))
        shape = self.shapes[0]
        what = f"images of {shape.maps}" if shape.maps else f"cases of {shape.features} features"
        return (
            f"{'a built-in sample, ' if self.sample else ''}{self.description}: "
            f"{train} training and {test} test {what} in {self.num_classes} classes"
        )
