"""Pictures of data: cases as a net gets them, and the statistics of the training images.

Values from 0 to 255 are shown; what lies outside is cut off.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL.Image import Image, fromarray

from convnet.data import augment
from convnet.data.augment import Array, Floats
from convnet.data.provider import DataProvider, ProviderOptions
from convnet.data.registry import open_provider
from convnet.errors import ConvnetError
from convnet.pixels import Minibatch, Pixels

_EPOCH = 1  # whose crops, flips and noise are shown
_TILE, _MEAN_SIDE, _GAP = 96, 256, 4  # pixels: the least longer side of an image in a grid, and of the mean image
_LEAST_SWATCH = 8  # pixels
_WHITE = 255
_STEPS = (-2, -1, 0, 1, 2)  # deviations along an axis of the colours


@dataclass(frozen=True)
class Sample:
    """Some cases. description: of the data. images: (n, y, x, channels), 0..255. names: of the classes of each case."""

    description: str
    images: Array
    names: list[list[str]]


def draw_sample(options: ProviderOptions, cases: int, *, test: bool = False) -> Sample:
    """Cases drawn at random by the seed, as a net gets them in training, or in testing, but with the mean added back.

    Fewer than `cases` if the data has no more. Raises ConvnetError for data that is not images and for data that cannot
    be read.
    """
    with closing(open_provider(options)) as provider:
        maps = provider.shapes[0].maps
        if maps is None or maps.channels not in (1, 3):
            found = f"images of {maps.channels} channels" if maps else "plain features"
            raise ConvnetError(f"{provider.description}: expected images of 1 or 3 channels, found {found}")
        numbers = provider.test_batches if test else provider.train_batches
        if not numbers:
            raise ConvnetError(f"{provider.description}: the data has no batches to {'test' if test else 'train'} on")
        images: list[Array] = []
        names: list[list[str]] = []
        for minibatch in _minibatches(provider, numbers, cases, train=not test):
            images.append(_whole(minibatch[0], provider, options))
            names += _names(minibatch, provider.label_names)
        return Sample(provider.description, np.concatenate(images), names)


def _minibatches(provider: DataProvider, numbers: Sequence[int], cases: int, *, train: bool) -> Iterator[Minibatch]:
    """So many cases in random order, as far as there are any: the first ones of as few batches as that takes."""
    for number in numbers:
        if not cases:
            return
        minibatch = next(provider.open_batch(number, _EPOCH, cases, train=train, shuffle=True, batch_range=numbers))
        cases -= len(minibatch[0])
        yield minibatch


def _whole(images: Array | Pixels, provider: DataProvider, options: ProviderOptions) -> Array:
    """Images as a net gets them, with what is subtracted added back: (n, y, x, channels) float32."""
    if isinstance(images, Pixels):
        return images.normalized(np.zeros((), np.float32))
    if options.scalar_mean is not None:
        return images + np.float32(options.scalar_mean)
    return images + augment.centre(provider.statistics()["mean"], images.shape[1:3])


def _names(minibatch: Minibatch, label_names: Sequence[str]) -> list[list[str]]:
    """The classes of each case."""
    if len(minibatch) > 2:
        rows = [np.flatnonzero(row).tolist() for row in np.asarray(minibatch[2])]
        return [[label_names[label] for label in row] for row in rows]
    labels = np.asarray(minibatch[1])[:, 0].astype(np.int64).tolist()
    return [[label_names[label]] if label >= 0 else [] for label in labels]


def columns(cases: int) -> int:
    """The columns of a grid of so many images."""
    return math.ceil(math.sqrt(cases))


def grid(images: Array) -> Image:
    """All images (n, y, x, channels) in rows of `columns(n)`, small ones enlarged."""
    tiles = [_enlarged(image, _TILE) for image in _bytes(images)]
    across = columns(len(tiles))
    rows = [_stacked(tiles[start : start + across], 1) for start in range(0, len(tiles), across)]
    return fromarray(_stacked(rows, 0))


def statistics_picture(mean: Array, colour_axes: Floats | None) -> Image:
    """The mean image (y, x, channels), enlarged if it is small, and beside it a row for each principal axis of colours.

    A row, that of the longest axis being the first, shows the mean colour with -2, -1, 0, 1 and 2 deviations along the
    axis added. Without `colour_axes`, only the mean image. Raises ConvnetError where the mean is not that of images.
    """
    if mean.ndim != 3 or mean.shape[2] not in (1, 3):
        raise ConvnetError(f"expected images of 1 or 3 channels for a picture of the mean, found means of {mean.shape}")
    image = _enlarged(_bytes(mean), _MEAN_SIDE)
    if colour_axes is None:
        return fromarray(_stacked([image], 0))
    side = max(_LEAST_SWATCH, (len(image) - 2 * _GAP) // 3)
    longest_first = colour_axes[np.argsort(-np.linalg.norm(colour_axes, axis=1), kind="stable")]
    colours = mean.mean(axis=(0, 1)) + longest_first[:, None] * np.array(_STEPS)[:, None]
    swatches = [[np.broadcast_to(colour, (side, side, 3)) for colour in row] for row in _bytes(colours)]
    return fromarray(_stacked([image, _stacked([_stacked(row, 1) for row in swatches], 0)], 1))


def save_picture(image: Image, path: Path) -> None:
    """Write a PNG under another name beside its own, and rename it. Raises ConvnetError where that fails."""
    aside = path.parent / f".{path.name}.tmp"
    try:
        image.save(aside, "png")
        os.replace(aside, path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise ConvnetError(f"{path}: cannot be written: {error.strerror}") from error


def _bytes(values: Array) -> Array:
    """Values as bytes, with three channels."""
    found: Array = np.clip(np.rint(values), 0, _WHITE).astype(np.uint8)
    return np.repeat(found, 3, axis=-1) if found.shape[-1] == 1 else found


def _enlarged(image: Array, side: int) -> Array:
    """An image whose pixels have become squares, so that its longer side has `side` pixels or somewhat more."""
    factor = math.ceil(side / max(image.shape[:2]))
    found: Array = image.repeat(factor, axis=0).repeat(factor, axis=1)
    return found


def _stacked(images: Sequence[Array], axis: int) -> Array:
    """Images below (axis 0) or beside (axis 1) each other, with white gaps and white where one is shorter."""
    length = max(image.shape[1 - axis] for image in images)
    parts: list[Array] = []
    for image in images:
        padding = [(0, 0), (0, 0), (0, 0)]
        padding[1 - axis] = (0, length - image.shape[1 - axis])
        padding[axis] = (_GAP if parts else 0, 0)
        parts.append(np.pad(image, padding, constant_values=_WHITE))
    return np.concatenate(parts, axis)
