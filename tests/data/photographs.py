"""Small JPEGs cut from the photographs that come with scikit-image and scikit-learn."""

import functools
import io

import numpy as np
from PIL import Image

from convnet.data.sample_photographs import PHOTOGRAPHS, load

NAMES = ("coffee", "cat", "temple")  # the classes, not in alphabetical order


def jpeg(image, quality=90, **options):
    """A JPEG of an image, or of an array (y, x, 3) or (y, x)."""
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        stream, "jpeg", quality=quality, **options
    )
    return stream.getvalue()


def photograph(number, y=75, x=100):
    """A patch of y x x pixels of one of the photographs, another one for each number."""
    source = _source(NAMES[number % len(NAMES)])
    random = np.random.default_rng(number)
    scale = random.uniform(1, min(source.width / x, source.height / y))
    width, height = x * scale, y * scale
    left, top = random.uniform(0, source.width - width), random.uniform(0, source.height - height)
    return source.resize((x, y), Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))


def photograph_files(numbers, prefix="", sizes=((75, 100), (100, 75), (80, 80), (40, 33))):
    """{name: JPEG}: photographs in a folder for each class, of the sizes (y, x) in turn."""
    return {
        f"{prefix}{NAMES[number % len(NAMES)]}/{number:03}.jpg": _file(number, *sizes[number % len(sizes)])
        for number in numbers
    }


@functools.cache
def _file(number, y, x):
    return jpeg(photograph(number, y, x))


@functools.cache
def _source(name):
    found = next(one for one in PHOTOGRAPHS if one.name == name)
    return load(found)
