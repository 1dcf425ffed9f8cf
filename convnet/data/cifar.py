"""CIFAR-10 and CIFAR-100, as published for Python and as cuda-convnet had them, and all data in cuda-convnet's form.

CIFAR-10 as published: data_batch_1..5 and test_batch; one image per row. cuda-convnet's cifar-10-py-colmajor:
data_batch_1..6, the last one for testing; one image per column, and the mean in batches.meta. Other data in that form
has any number of batches, and cases of any size (numbered_batches.py). CIFAR-100: train and test. In all an image is 3
channels, red first, of 32 rows of 32 pixels.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from convnet.data import numbered_batches
from convnet.data.archive import is_archive, names
from convnet.data.batch_folder import BatchFolder, Layout, folder_with
from convnet.data.memory import ImageSet, MemoryProvider, batch_sizes
from convnet.data.provider import DataProvider, ProviderOptions

NAME, CROPPED_NAME = "cifar", "cifar-cropped"
CROP_BORDER = 4  # of cifar-cropped, unless the options say otherwise
SIDE, CHANNELS = 32, 3
PIXELS = CHANNELS * SIDE * SIDE

_HUNDRED_META, _HUNDRED_TRAIN, _HUNDRED_TEST = "meta", "train", "test"
_HUNDRED_BATCHES = 5  # that the one training file of CIFAR-100 is cut into
_METAS = (numbered_batches.META, _HUNDRED_META)
_FILES = (numbered_batches.TEST_BATCH, _HUNDRED_TRAIN, _HUNDRED_TEST)
_FIRST_NAMES = 16  # how far to look into an archive; the published ones have less members


def recognizes(path: Path) -> bool:
    """Whether `path` is a folder with such batches, perhaps in a folder of their own, or an archive of one."""
    if path.is_dir():
        return folder_with(path, _METAS) is not None
    return is_archive(path) and any(name.name in _METAS for name in islice(names(path), _FIRST_NAMES))


def open_cifar(options: ProviderOptions) -> DataProvider:
    """The batches in `options.path`, in the order of their numbers, the test batch of CIFAR being 6.

    Raises ConvnetError naming the file that is missing, damaged or not as expected.
    """
    return _open(NAME, options)


def open_cifar_cropped(options: ProviderOptions) -> DataProvider:
    """The same with a crop border of 4 if the options give no crop of their own."""
    cropped = bool(options.crop or options.crop_border)
    return _open(CROPPED_NAME, options if cropped else replace(options, crop_border=CROP_BORDER))


def _open(name: str, options: ProviderOptions) -> DataProvider:
    """Read all files."""
    folder = BatchFolder(options.data_path, _METAS, _FILES)
    if numbered_batches.META in folder.files:
        images = numbered_batches.read_batches(folder, options.batch_size)
    else:
        images = _hundred(folder, options.batch_size)
    return MemoryProvider(name, images, options)


def _hundred(folder: BatchFolder, batch_size: int | None) -> ImageSet:
    """CIFAR-100 with its fine labels; the one training file is cut into 5 batches."""
    label_names = folder.label_names(_HUNDRED_META, folder.unpickled(_HUNDRED_META), "fine_label_names")
    layout = Layout(PIXELS, np.dtype(np.uint8), by_columns=False, labels="fine_labels")
    files = (_HUNDRED_TRAIN, _HUNDRED_TEST)
    train, test = (folder.cases(file, layout) for file in files)
    for file, part in zip(files, (train, test), strict=True):
        folder.check_labels(file, part.labels, len(label_names))
    count = len(train.labels)
    return ImageSet(
        description=f"CIFAR-100 in {folder.path.name}",
        pixels=np.concatenate((train.rows, test.rows)).reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1),
        labels=np.concatenate((train.labels, test.labels)),
        label_names=label_names,
        train_sizes=batch_sizes(count, PIXELS, batch_size or -(-count // _HUNDRED_BATCHES)),
        test_sizes=batch_sizes(len(test.labels), PIXELS, batch_size) if batch_size else [len(test.labels)],
    )
