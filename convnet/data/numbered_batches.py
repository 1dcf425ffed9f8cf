"""cuda-convnet's data: numbered pickles data_batch_N beside batches.meta, of images or of features.

batches.meta is a pickled dict of 'label_names', 'num_vis', the numbers of a case, and perhaps 'data_mean' (num_vis, 1).
A batch is a dict of 'data', with a case in each column, (num_vis, cases), or in each row, and 'labels'. It may be cut
into sub-batches data_batch_N.1, data_batch_N.2, .. CIFAR-10 as published has a test_batch, too.

Cases are images of 3 channels or of 1 if they are uint8 and fill squares, or if batches.meta has 'num_colors' and
'img_size'; channels come first, then rows. All others are features. Features that cuda-convnet wrote have no names of
classes; they are called 0, 1, ..
"""

from __future__ import annotations

from itertools import pairwise
from math import isqrt

import numpy as np

from convnet.data.augment import Array
from convnet.data.batch_folder import BatchFolder, Cases, Layout, kind, split_batches
from convnet.data.memory import ImageSet, batch_sizes
from convnet.errors import ConvnetError

META, TEST_BATCH = "batches.meta", "test_batch"
CIFAR_PIXELS = 3072
_CIFAR_10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
_MOST_CLASSES = 1_000_000  # without names; beyond that, labels are something else

Meta = dict[str, object]


def read_batches(folder: BatchFolder, batch_size: int | None) -> ImageSet:
    """All data batches of a folder, in the order of their numbers.

    The batches to test on are test_batch, or those from the last thousand on if that is not the first one, or the last
    batch; a single batch is one to train on. batch_size: cases of the batches instead of those in the files.

    Raises ConvnetError naming the file that is missing, damaged or not as expected.
    """
    meta = folder.unpickled(META)
    label_names = [] if "source_model" in meta else folder.label_names(META, meta, "label_names")
    train, test = _names(folder, label_names, published="data_mean" not in meta)
    names, size = [*train, *test], _case_size(folder, meta)
    layout = _layout(folder, meta, names[0], size)
    parts = [folder.cases(name, layout) for name in names]
    for name, part in zip(names, parts, strict=True):
        folder.check_labels(name, part.labels, len(label_names) or _MOST_CLASSES)
    labels = np.concatenate([part.labels for part in parts])
    label_names = label_names or [str(label) for label in range(int(labels.max()) + 1)]
    rows, shape = np.concatenate([part.rows for part in parts]), _image_shape(folder, meta, layout)
    train_sizes, test_sizes = (_sizes(part, size, batch_size) for part in (parts[: len(train)], parts[len(train) :]))
    return ImageSet(
        description=_description(folder, meta, label_names),
        pixels=_cases(rows if rows.dtype == np.uint8 else rows.astype(np.float32), shape),
        labels=labels,
        label_names=label_names,
        train_sizes=train_sizes,
        test_sizes=test_sizes,
        mean=_mean(folder, meta, size, shape),
    )


def _names(folder: BatchFolder, label_names: list[str], *, published: bool) -> tuple[list[str], list[str]]:
    """The batches to train on and those to test on; `published`: as the publishers of CIFAR-10 cut it.

    Raises ConvnetError where one is missing.
    """
    numbers = folder.numbers
    has_test = TEST_BATCH in folder.files
    if label_names == _CIFAR_10:
        has_test |= published and 6 not in numbers
        numbers = sorted({*numbers, *range(1, 6 if has_test else 7)})
    if not numbers:
        raise ConvnetError(f"{folder.path}: the file data_batch_1 is missing")
    train, test = (_file_names(folder, part) for part in split_batches(numbers))
    if has_test:
        return [*train, *test], [TEST_BATCH]
    return (train, test) if test or len(train) == 1 else (train[:-1], train[-1:])


def _file_names(folder: BatchFolder, numbers: list[int]) -> list[str]:
    """The files of these batches. Raises ConvnetError where numbers between them are missing."""
    for number, following in pairwise(numbers):
        if following != number + 1:
            raise ConvnetError(f"{folder.path}: the file data_batch_{number + 1} is missing")
    return [f"data_batch_{number}" for number in numbers]


def _case_size(folder: BatchFolder, meta: Meta) -> int:
    """The numbers of a case."""
    mean = meta.get("data_mean")
    size = meta.get("num_vis", mean.size if isinstance(mean, np.ndarray) else CIFAR_PIXELS)
    if not isinstance(size, int) or size < 1:
        raise folder.error(META, "an integer of at least 1 as 'num_vis'", size)
    return size


def _layout(folder: BatchFolder, meta: Meta, name: str, size: int) -> Layout:
    """How cases are stored, as the first batch shows; where they could be columns or rows, columns beside a mean."""
    file = folder.parts(name)[0]
    data = folder.unpickled(file).get("data")
    if not isinstance(data, np.ndarray) or data.ndim != 2 or size not in data.shape or data.dtype.kind not in "iuf":
        raise folder.error(file, f"numbers of shape ({size}, cases) or (cases, {size}) as 'data'", kind(data))
    alike = data.shape[0] == data.shape[1]
    return Layout(size, data.dtype, "data_mean" in meta if alike else data.shape[0] == size)


def _image_shape(folder: BatchFolder, meta: Meta, layout: Layout) -> tuple[int, int, int] | None:
    """(channels, y, x) of a case; None if it is no image."""
    size = layout.size
    channels, side = meta.get("num_colors"), meta.get("img_size")
    if channels is not None and side is not None:
        if not isinstance(channels, int) or not isinstance(side, int) or channels < 1 or channels * side**2 != size:
            raise folder.error(META, f"'num_colors' * 'img_size' ** 2 to be {size}", f"{channels} * {side} ** 2")
        return channels, side, side
    if layout.dtype != np.uint8:
        return None
    return next(((n, isqrt(size // n), isqrt(size // n)) for n in (3, 1) if n * isqrt(size // n) ** 2 == size), None)


def _cases(rows: Array, shape: tuple[int, int, int] | None) -> Array:
    """(cases, y, x, channels), or (cases, features) for data that is not images."""
    return rows if shape is None else rows.reshape(-1, *shape).transpose(0, 2, 3, 1)


def _mean(folder: BatchFolder, meta: Meta, size: int, shape: tuple[int, int, int] | None) -> Array | None:
    """The mean of a case; None if the data does not bring it."""
    mean = meta.get("data_mean")
    if mean is None:
        return None
    if not isinstance(mean, np.ndarray) or mean.size != size or not np.all(np.isfinite(mean)):
        raise folder.error(META, f"an array ({size}, 1) as 'data_mean'", kind(mean))
    found: Array = _cases(mean.reshape(1, size), shape)[0]
    return found


def _sizes(parts: list[Cases], size: int, batch_size: int | None) -> list[int]:
    """The cases in each batch."""
    cases = [len(part.labels) for part in parts]
    return batch_sizes(sum(cases), size, batch_size) if batch_size else cases


def _description(folder: BatchFolder, meta: Meta, label_names: list[str]) -> str:
    """What data this is."""
    if label_names == _CIFAR_10:
        return f"CIFAR-10{' (cuda-convnet' + chr(39) + 's)' if 'data_mean' in meta else ''} in {folder.path.name}"
    return f"{'features' if 'source_model' in meta else 'data batches'} in {folder.path.name}"
