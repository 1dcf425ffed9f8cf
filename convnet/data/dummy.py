"""Random numbers in place of data, to time nets and to check gradients."""

from __future__ import annotations

import re

import numpy as np

from convnet.data.memory import ImageSet, MemoryProvider
from convnet.data.provider import DataProvider, ProviderOptions
from convnet.errors import ConvnetError

NAME = "dummy-<channels>x<y>x<x>-<classes>"
_NUMBER = r"([1-9]\d{0,18})"  # Python refuses to read numbers of thousands of digits
_PATTERN = re.compile(f"dummy-{_NUMBER}x{_NUMBER}x{_NUMBER}-{_NUMBER}")
_CASES = 128
_MOST_BYTES = 2**31  # in a data batch
_MOST_CLASSES = 1_000_000


def open_dummy(options: ProviderOptions) -> DataProvider:
    """Normal images of mean 0 and deviation 1 with random labels: training batch 1, test batch 2.

    Their size and number of classes stand in the provider's name, as in `dummy-3x32x32-10`.

    Raises ConvnetError for another name, and for one that asks for too much.
    """
    found = _PATTERN.fullmatch(options.provider or "")
    if not found:
        raise ConvnetError(f"data provider: expected {NAME}, as in dummy-3x32x32-10; found '{options.provider}'")
    channels, y, x, classes = map(int, found.groups())
    cases = options.batch_size or _CASES
    needed = 4 * cases * channels * y * x
    if needed > _MOST_BYTES or classes > _MOST_CLASSES:
        raise ConvnetError(
            f"data provider {options.provider}: expected at most {_MOST_BYTES} bytes in a data batch and "
            f"{_MOST_CLASSES} classes; found {needed} bytes, for {cases} cases, and {classes} classes"
        )
    random = np.random.default_rng(options.seed)
    images = ImageSet(
        description="random numbers",
        pixels=random.standard_normal((2 * cases, y, x, channels), np.float32),
        labels=random.integers(classes, size=2 * cases),
        label_names=[str(label) for label in range(classes)],
        train_sizes=[cases],
        test_sizes=[cases],
        mean=np.zeros((y, x, channels), np.float32),
    )
    return MemoryProvider(str(options.provider), images, options)
