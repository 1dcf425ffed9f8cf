"""Patches of real photographs that come with scikit-image and scikit-learn: a small task for nets that see colours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL.Image import Image, Resampling

from convnet.data.augment import Array, Integers
from convnet.data.decode import open_image
from convnet.data.split import fixed_order
from convnet.errors import ConvnetError


class Photograph(NamedTuple):
    """A photograph, which is a class of the sample: the class's name, and its file in a package."""

    name: str
    package: str
    file: str


PHOTOGRAPHS = (
    Photograph("cat", "skimage", "data/chelsea.png"),
    Photograph("coffee", "skimage", "data/coffee.png"),
    Photograph("flower", "sklearn", "datasets/images/flower.jpg"),
    Photograph("galaxies", "skimage", "data/hubble_deep_field.jpg"),
    Photograph("motorcycle", "skimage", "data/motorcycle_left.png"),
    Photograph("retina", "skimage", "data/retina.jpg"),
    Photograph("temple", "sklearn", "datasets/images/china.jpg"),
    Photograph("tissue", "skimage", "data/ihc.png"),
)
TRAIN_PATCHES, TEST_PATCHES = 192, 32  # of each photograph
TRAIN_SHARE = 0.65  # the left part of each photograph, in width; the rest is for testing
SIDES = (0.22, 0.33)  # the shortest and the longest side of a patch, in heights of the photograph


def photograph_patches(size: tuple[int, int]) -> tuple[Array, Integers]:
    """Patches scaled to `size` (y, x), the same ones every time: those to train on, then those to test on.

    The test patches are from the right part of each photograph, which no training patch touches. Returns the pixels
    (cases, y, x, 3) as uint8 and the labels (cases,), indices of PHOTOGRAPHS, in mixed order.

    Raises ConvnetError where a package or a photograph is missing.
    """
    parts = [split_photograph(load(photograph)) for photograph in PHOTOGRAPHS]
    train, test = (_labels(number) for number in (TRAIN_PATCHES, TEST_PATCHES))
    labels = np.concatenate((train, test))
    regions = [parts[label][case >= len(train)] for case, label in enumerate(labels)]
    random = np.random.default_rng(0)
    boxes = [_box(region, size, random) for region in regions]
    pixels = np.empty((len(labels), *size, 3), np.uint8)

    def fill(case: int) -> None:
        pixels[case] = regions[case].resize(size[::-1], Resampling.BILINEAR, box=boxes[case])

    with ThreadPoolExecutor() as threads:
        list(threads.map(fill, range(len(labels))))  # lest errors are lost
    return pixels, labels


def _labels(patches: int) -> Integers:
    """The labels of `patches` patches of each photograph, in mixed order."""
    return fixed_order(patches * len(PHOTOGRAPHS)) % len(PHOTOGRAPHS)


def load(photograph: Photograph) -> Image:
    """The photograph in RGB. Raises ConvnetError where it or its package is missing."""
    package = find_spec(photograph.package)  # importing the packages would take seconds
    if package is None or package.origin is None:
        raise ConvnetError(
            "the built-in photographs come with scikit-image and scikit-learn: install both, or use data of your own "
            "(--data)"
        )
    path = Path(package.origin).parent / photograph.file
    try:
        return open_image(path.read_bytes(), "RGB", str(path))
    except OSError as error:
        raise ConvnetError(f"{path}: expected a photograph that comes with {photograph.package}: {error}") from error


def split_photograph(image: Image) -> tuple[Image, Image]:
    """The part to train on and the part to test on."""
    border = round(image.width * TRAIN_SHARE)
    return image.crop((0, 0, border, image.height)), image.crop((border, 0, image.width, image.height))


def _box(region: Image, size: tuple[int, int], random: np.random.Generator) -> tuple[float, float, float, float]:
    """The left, top, right and bottom of a patch of a random side at a random place; its shape is that of `size`."""
    side = random.uniform(*SIDES) * region.height
    height, width = (side * extent / max(size) for extent in size)
    top, left = random.uniform(0, region.height - height), random.uniform(0, region.width - width)
    return left, top, left + width, top + height
