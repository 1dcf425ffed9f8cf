"""What is in data: how many cases of each class, in which batches, and the statistics of the training images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convnet.data.augment import Array, Floats
from convnet.data.image_batches import NAME as IMAGE_BATCHES
from convnet.data.image_source import ImageSource, open_image_source
from convnet.data.provider import DataProvider, ProviderOptions
from convnet.data.registry import open_provider

_AXES_NEED = 1.0  # any colour noise makes a provider tell the axes


@dataclass(frozen=True)
class Part:
    """The cases to train on, or those to test on.

    batches: the cases of each batch by its number. counts: of each class; a case with several labels counts for each of
    them. unlabelled: the cases without any label.
    """

    batches: dict[int, int]
    counts: list[int]
    unlabelled: int

    @property
    def cases(self) -> int:
        """The number of cases."""
        return sum(self.batches.values())


@dataclass(frozen=True)
class DataInfo:
    """What is in data.

    shape: of a case before cropping, (channels, y, x) or (features,); photographs of data batches are larger in one
    direction, perhaps. stored: bytes of all encoded images, None for data that lies in memory. mean: of the training
    cases, (y, x, channels) or (features,). colour_axes: (axis, colour), see augment.colour_axes; None if not known.
    """

    description: str
    provider: str
    label_names: list[str]
    shape: tuple[int, ...]
    train: Part
    test: Part
    several_labels: bool
    stored: int | None
    mean: Array
    colour_axes: Floats | None

    @property
    def mean_colour(self) -> list[float] | None:
        """The mean of all pixels in each channel; None for data that is not images."""
        return None if self.mean.ndim == 1 else [float(mean) for mean in self.mean.mean(axis=(0, 1), dtype=np.float64)]

    def plain(self) -> dict[str, Any]:
        """All but the mean image, as values that JSON holds."""
        classes = zip(self.label_names, self.train.counts, self.test.counts, strict=True)
        return {
            "description": self.description,
            "provider": self.provider,
            "shape": list(self.shape),
            "train": _plain(self.train),
            "test": _plain(self.test),
            "classes": [{"name": name, "train": train, "test": test} for name, train, test in classes],
            "several_labels": self.several_labels,
            "stored_bytes": self.stored,
            "mean_colour": self.mean_colour,
            "colour_axes": None if self.colour_axes is None else self.colour_axes.tolist(),
        }


def _plain(part: Part) -> dict[str, Any]:
    """A part as values that JSON holds."""
    batches = {str(number): cases for number, cases in part.batches.items()}
    return {"cases": part.cases, "unlabelled": part.unlabelled, "batches": batches}


def data_info(options: ProviderOptions, *, axes: bool = False) -> DataInfo:
    """What is in the data that the options name; crops and the like play no part in it.

    Of photographs in data batches no image is decoded. axes: also find the colour axes of data in memory.

    Raises ConvnetError for data that cannot be read.
    """
    source = _source(options)
    return _of_provider(options, axes=axes) if source is None else _of_source(source)


def _source(options: ProviderOptions) -> ImageSource | None:
    """The photographs in data batches that the options name; None for other data."""
    if options.path is None or options.provider not in (None, IMAGE_BATCHES):
        return None
    return open_image_source(options.path)


def _of_source(source: ImageSource) -> DataInfo:
    """What photographs in data batches tell of themselves."""
    numbers = source.train_batches, source.test_batches
    records = {number: source.records(number) for part in numbers for number in part}
    train, test = (
        _part({number: records[number].labels for number in part}, len(source.label_names)) for part in numbers
    )
    return DataInfo(
        description=source.description,
        provider=source.name,
        label_names=source.label_names,
        shape=(source.mean.shape[-1], source.side, source.side),
        train=train,
        test=test,
        several_labels=source.several_labels,
        stored=sum(int(batch.sizes.sum()) for batch in records.values()),
        mean=source.mean,
        colour_axes=source.colour_axes,
    )


def _of_provider(options: ProviderOptions, *, axes: bool) -> DataInfo:
    """What other data tells, which is read."""
    provider = open_provider(options)
    train, test = (_part(_labels(provider, numbers), provider.num_classes)
                   for numbers in (provider.train_batches, provider.test_batches))  # fmt: skip
    maps = provider.shapes[0].maps
    found = None
    if axes and maps and maps.channels == 3:
        found = open_provider(replace(options, noise=_AXES_NEED)).statistics()["colour_axes"]
    return DataInfo(
        description=provider.description,
        provider=provider.name,
        label_names=provider.label_names,
        shape=tuple(maps) if maps else (provider.shapes[0].features,),
        train=train,
        test=test,
        several_labels=False,
        stored=None,
        mean=provider.statistics()["mean"],
        colour_axes=found,
    )


def _labels(provider: DataProvider, numbers: Iterable[int]) -> dict[int, list[tuple[int, ...]]]:
    """The labels of the cases of each batch."""
    labels = {number: provider.get_batch(number, 1, train=False)[1] for number in numbers}
    return {number: [(int(label),) for label in batch[:, 0]] for number, batch in labels.items()}


def _part(labels: Mapping[int, Sequence[tuple[int, ...]]], classes: int) -> Part:
    """Some batches, with the labels of their cases."""
    counts = np.zeros(classes, np.int64)
    for batch in labels.values():
        counts += np.bincount([label for case in batch for label in case], minlength=classes)
    unlabelled = sum(not case for batch in labels.values() for case in batch)
    return Part({number: len(batch) for number, batch in labels.items()}, counts.tolist(), unlabelled)
