"""The built-in sample: real data for newcomers, chosen to fit the net's input, from packages on this machine."""

from __future__ import annotations

import numpy as np
from PIL.Image import Resampling, fromarray

from convnet.data.augment import Array, Integers
from convnet.data.memory import ImageSet, MemoryProvider, batch_sizes
from convnet.data.provider import DataProvider, ProviderOptions
from convnet.data.sample_photographs import PHOTOGRAPHS, TEST_PATCHES, TRAIN_PATCHES, photograph_patches
from convnet.data.split import test_cases
from convnet.errors import ConvnetError
from convnet.shape import Maps

NAME = "sample"
LARGEST_DIGITS = 64  # pixels a side; handwritten digits of 8x8 show nothing more beyond
LARGEST_SIDE = 4096  # pixels; patches of photographs show nothing more far below that
DIGITS_INPUT = Maps(1, 8, 8)
DIGITS_WHITE = 16  # the largest value in scikit-learn's digits
PHOTOGRAPHS_BATCH = 256


def open_sample(options: ProviderOptions) -> DataProvider:
    """Handwritten digits for small grey nets, patches of photographs for nets that see colours.

    `options.input` says what the net wants; without it, digits of 8x8 pixels.

    Raises ConvnetError for another input, and where the package with the data is missing.
    """
    wanted = options.input or DIGITS_INPUT
    size = options.source_size or wanted[1:]
    if max(size) > LARGEST_SIDE:
        raise ConvnetError(
            f"the built-in sample: expected images of at most {LARGEST_SIDE} pixels a side, found {size[0]}x{size[1]}; "
            "use data of your own (--data)"
        )
    if wanted.channels == 3:
        return MemoryProvider(NAME, _photographs(size, options.batch_size), options)
    if wanted.channels == 1 and max(wanted.y, wanted.x) <= LARGEST_DIGITS:
        return MemoryProvider(NAME, _digits(size, options.batch_size), options)
    raise ConvnetError(
        f"there is no built-in sample for an input of {wanted}: expected 3 channels, or 1 channel and at most "
        f"{LARGEST_DIGITS}x{LARGEST_DIGITS} pixels; use data of your own (--data)"
    )


def _photographs(size: tuple[int, int], batch_size: int | None) -> ImageSet:
    """Patches of photographs, scaled to `size` (y, x)."""
    pixels, labels = photograph_patches(size)
    train, test = (number * len(PHOTOGRAPHS) for number in (TRAIN_PATCHES, TEST_PATCHES))
    return ImageSet(
        description="patches of photographs that come with scikit-image and scikit-learn, one class a photograph",
        pixels=pixels,
        labels=labels,
        label_names=[photograph.name for photograph in PHOTOGRAPHS],
        train_sizes=batch_sizes(train, pixels[0].size, batch_size or PHOTOGRAPHS_BATCH),
        test_sizes=batch_sizes(test, pixels[0].size, batch_size or PHOTOGRAPHS_BATCH),
        sample=True,
    )


def _digits(size: tuple[int, int], batch_size: int | None) -> ImageSet:
    """scikit-learn's handwritten digits, their values as 0..255, scaled to `size` (y, x)."""
    values, labels = _load_digits()
    pixels = np.round(values * (255 / DIGITS_WHITE)).astype(np.uint8)
    if size != pixels.shape[1:]:
        pixels = np.stack([_resize(image, size) for image in pixels])
    order, test = np.arange(len(labels)), test_cases(labels, None)
    order = np.concatenate((order[~test], order[test]))
    return ImageSet(
        description="handwritten digits that come with scikit-learn",
        pixels=pixels[order, ..., None],
        labels=labels[order],
        label_names=[str(digit) for digit in range(10)],
        train_sizes=batch_sizes(int((~test).sum()), pixels[0].size, batch_size),
        test_sizes=batch_sizes(int(test.sum()), pixels[0].size, batch_size),
        sample=True,
    )


def _load_digits() -> tuple[Array, Integers]:
    """Images (1797, 8, 8) of values 0..16, and labels (1797,)."""
    from sklearn.datasets import load_digits  # here, because importing it takes seconds

    digits = load_digits()
    return digits.images, digits.target


def _resize(image: Array, size: tuple[int, int]) -> Array:
    """A grey image (y, x) scaled to `size` (y, x)."""
    return np.asarray(fromarray(image).resize((size[1], size[0]), Resampling.BILINEAR))
