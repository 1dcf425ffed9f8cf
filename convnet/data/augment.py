"""What is done to images on their way to the net: random crops, mirroring and colour noise.

All draws come from a counter-based generator: they are a function of the seed, the epoch and the case.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from convnet.philox import philox

Array = np.ndarray[Any, np.dtype[Any]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint32]]

# The last word of the counter keeps the purposes apart; the upper half keeps clear of whoever else uses the seed.
GEOMETRY, NOISE, ORDER, LABEL = 0xDA7A0000, 0xDA7A0001, 0xDA7A0002, 0xDA7A0003
# Views of an image: upper left, upper right, centre, lower left, lower right; then the same mirrored.
CENTRE, PLAIN_VIEWS = 2, 5

_PIXELS = 1 << 18  # summed at once: few enough for the last-level cache, enough to be worth a thread's while


def draw(seed: int, stream: int, epoch: int, cases: Integers) -> Words:
    """Four random words for each case: (n,) -> (n, 4)."""
    counter = np.zeros((len(cases), 4), np.uint32)
    counter[:, 1] = cases
    counter[:, 2] = epoch
    counter[:, 3] = stream
    return philox(counter, np.array([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF], np.uint32))


def below(limit: int | Integers, words: Words) -> Integers:
    """Integers in [0, limit), each from one word, for limits up to 2^31; one limit, or one for each word."""
    return (words.astype(np.int64) * limit) >> 32


def normals(words: Words) -> Floats:
    """Normal numbers of mean 0 and deviation 1: words (n, 4) -> (n, 4).

    Source: Box and Muller, "A note on the generation of random normal deviates", 1958.
    """
    uniform = (words + 0.5) / 2.0**32
    radius = np.sqrt(-2.0 * np.log(uniform[:, :2]))
    angle = 2.0 * np.pi * uniform[:, 2:]
    return np.concatenate((radius * np.cos(angle), radius * np.sin(angle)), axis=1)


def permutation(seed: int, epoch: int, cases: Integers) -> Integers:
    """The cases in random order, another one for each epoch."""
    words = draw(seed, ORDER, epoch, cases).astype(np.uint64)
    return cases[np.argsort(words[:, 0] << np.uint64(32) | words[:, 1], kind="stable")]


def crops(images: Array, cases: Integers, top: Integers, left: Integers, size: tuple[int, int]) -> Array:
    """One window of each case: images (cases, y, x, channels) -> (n, *size, channels).

    cases, top, left: (n,) which image, and the upper left corner of its window.
    """
    windows = np.lib.stride_tricks.sliding_window_view(images, size, axis=(1, 2))
    cut: Array = windows.transpose(0, 1, 2, 4, 5, 3)[cases, top, left]
    return cut


def random_crops(images: Array, cases: Integers, size: tuple[int, int], words: Words) -> Array:
    """A random window of each case, every position being as likely: (cases, y, x, channels) -> (n, *size, channels).

    words: (n, >= 2), random words for y and x.
    """
    top = below(images.shape[1] - size[0] + 1, words[:, 0])
    left = below(images.shape[2] - size[1] + 1, words[:, 1])
    return crops(images, cases, top, left, size)


def mirror(images: Array, words: Words) -> None:
    """Mirror about half of the images left to right, in place: images (n, y, x, channels), words (n,)."""
    half = chosen(words)
    images[half] = images[half, :, ::-1]


def chosen(words: Words) -> Array:
    """Which cases are mirrored, about half of them: words (n,) -> (n,) bool."""
    half: Array = words >> 31 == 1
    return half


def mirrored(images: Array) -> Array:
    """A copy, left and right exchanged: (..., y, x, channels)."""
    copy = np.empty_like(images, order="C")
    for channel in range(images.shape[-1]):  # five times faster than at once, where the innermost loop is that short
        copy[..., channel] = images[..., ::-1, channel]
    return copy


def copy_reversed(image: Array, target: Array) -> None:
    """Copy bytes (y, x, channels) to a C-contiguous `target`, exchanging left and right and the order of the channels.

    This is five times faster than to exchange left and right alone: the bytes of a row are reversed, which processors
    do to several bytes at once.
    """
    y, width = image.shape[0], image.shape[1] * image.shape[2]
    word = math.gcd(8, width)
    rows, reversed_rows = image.reshape(y, width).view(f">u{word}"), target.reshape(y, width).view(f"<u{word}")
    np.copyto(reversed_rows, rows[:, ::-1])


def centre(images: Array, size: tuple[int, int]) -> Array:
    """A view of the window in the middle: (..., y, x, channels) -> (..., *size, channels)."""
    return window_of_view(images, size, CENTRE)


def corner(shape: tuple[int, int], size: tuple[int, int], view: int) -> tuple[int, int]:
    """(y, x) of the upper left corner of a view of `size` (y, x) of an image of `shape` (y, x)."""
    bottom, right = shape[0] - size[0], shape[1] - size[1]
    places = (0, 0), (0, right), (bottom // 2, right // 2), (bottom, 0), (bottom, right)
    return places[view % PLAIN_VIEWS]


def window_of_view(images: Array, size: tuple[int, int], view: int) -> Array:
    """The pixels of a view, not copied: (..., y, x, channels) -> (..., *size, channels)."""
    top, left = corner((images.shape[-3], images.shape[-2]), size, view)
    seen = images[..., top : top + size[0], left : left + size[1], :]
    return seen[..., ::-1, :] if view >= PLAIN_VIEWS else seen


def colour_axes(images: Array) -> Floats:
    """The principal axes (axis, colour) of the colours of images (n, y, x, 3), each as long as the deviation along it.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012,
    section 4.1; as in cuda-convnet2 the deviations are used, the roots of the paper's eigenvalues.
    """
    return principal_axes(colour_covariance(images))


def principal_axes(covariance: Floats) -> Floats:
    """The principal axes (axis, colour) of a covariance (3, 3), each as long as the deviation along it."""
    values, axes = np.linalg.eigh(covariance)
    scaled: Floats = (axes * np.sqrt(np.maximum(values, 0.0))).T
    return scaled


def colour_shifts(axes: Array, scale: float, words: Words) -> Floats:
    """The colour noise of each image, which is the same for all its pixels: words (n, 4) -> (n, 3).

    A shift is the sum of axis * normal number * scale over the three axes that `colour_axes` finds. The factor
    1 / (1 + scale) that cuda-convnet2 puts on the whole batch is not in the paper, and not here.
    """
    drawn = normals(words)[:, :3, None] * (axes * scale)
    total: Floats = drawn.sum(axis=1)
    return total


def colour_covariance(images: Array) -> Floats:
    """The covariance (3, 3) of the colours of all pixels of images (n, y, x, 3); zeros without images.

    Summed without BLAS, and in the order of the images: the result does not depend on the number of threads.
    """
    count = max(1, images[..., 0].size)
    some = max(1, _PIXELS * len(images) // count)
    parts = [images[start : start + some] for start in range(0, len(images), some)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        total = sum(threads.map(_colour_sums, parts), start=np.zeros((3, 4)))
    means, products = total[:, 3] / count, total[:, :3] / count
    covariance: Floats = products - np.outer(means, means)
    return covariance


def _colour_sums(images: Array) -> Floats:
    """Sums over all pixels of images (n, y, x, 3): of the products of two colours (3, 3), of each colour (3, 1)."""
    colours = np.ascontiguousarray(images.reshape(-1, 3).T, np.float64)
    sums = np.empty((3, 4))
    for one in range(3):
        sums[one, 3] = colours[one].sum()
        for other in range(one + 1):
            sums[one, other] = sums[other, one] = np.einsum("i,i", colours[one], colours[other])
    return sums
