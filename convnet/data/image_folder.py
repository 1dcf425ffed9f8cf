"""Folders and archives of images with one folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convnet.data.archive import Member, is_archive
from convnet.data.augment import Array, Integers
from convnet.data.class_folders import Classes, find_classes
from convnet.data.decode import MODES, decode_alike, decode_to_size
from convnet.data.memory import ImageSet, MemoryProvider, batch_sizes
from convnet.data.provider import DataProvider, ProviderOptions
from convnet.data.split import fixed_order, test_cases
from convnet.errors import ConvnetError

NAME = "image-folder"


def recognizes(path: Path) -> bool:
    """Whether `path` can hold images."""
    return path.is_dir() or is_archive(path)


def open_image_folder(options: ProviderOptions) -> DataProvider:
    """Images in `options.path`, a folder or an archive, with a folder for each class.

    The classes lie in train/ and in test/ (or val/), or at the top, where a share of each class becomes the test set.
    All this may lie in one folder of any name. With test/ alone there are no batches to train on. Images have as many
    channels as the net wants, or 3. They are brought to `options.source_size`, and those that have it stay exactly as
    they are; where no option says a size, all images must be alike. The cases come in mixed order, always the same one,
    so that every batch has all classes.

    Raises ConvnetError naming the file or folder that is not as expected.
    """
    path = options.data_path
    train, test = find_classes(path)
    if test and options.test_share is not None:
        raise ConvnetError(f"{path}: a test share was given, but the data has a test set of its own")
    files, labels, test_count = _in_order(train, test, options.test_share)
    pixels = _decoded(files, options)
    return MemoryProvider(
        NAME,
        ImageSet(
            description=f"images in {path.name}",
            pixels=pixels,
            labels=labels,
            label_names=list(train or test),
            train_sizes=batch_sizes(len(files) - test_count, pixels[0].size, options.batch_size),
            test_sizes=batch_sizes(test_count, pixels[0].size, options.batch_size),
        ),
        options,
    )


def _decoded(files: list[Member], options: ProviderOptions) -> Array:
    """The pixels of all files."""
    path, size = options.data_path, options.source_size
    channels = options.input.channels if options.input else 3
    if channels not in MODES:
        raise ConvnetError(f"{path}: images can be read as 1 or 3 channels, but the net's input has {channels}")
    return decode_alike(files, channels, path) if size is None else decode_to_size(files, channels, size, path)


def _in_order(train: Classes, test: Classes, share: float | None) -> tuple[list[Member], Integers, int]:
    """All files, those to train on first, each part in mixed order; their labels; and how many are for testing."""
    parts = [_labelled(train), _labelled(test)] if test else _divided(*_labelled(train), share)
    mixed = [(files, labels, fixed_order(len(files))) for files, labels in parts]
    files = [part[case] for part, _, order in mixed for case in order]
    return files, np.concatenate([labels[order] for _, labels, order in mixed]), len(parts[1][0])


def _labelled(classes: Classes) -> tuple[list[Member], Integers]:
    """All files of all classes, and their labels."""
    labels = np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])
    return [file for files in classes.values() for file in files], labels


def _divided(files: list[Member], labels: Integers, share: float | None) -> list[tuple[list[Member], Integers]]:
    """Files and labels in two parts, to train on and to test on."""
    mask = test_cases(labels, share)
    return [
        ([file for file, chosen in zip(files, part, strict=True) if chosen], labels[part]) for part in (~mask, mask)
    ]
