"""The provider of photographs stored as JPEGs: worker processes decode, cut and mirror them."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from convnet.data import augment
from convnet.data.augment import Array, Integers, Words
from convnet.data.image_reader import Order, Reader
from convnet.data.image_source import ImageSource, open_image_source
from convnet.data.provider import Batch, DataProvider, ProviderOptions
from convnet.data.statistics import Statistics, check_views, shuffled, window
from convnet.data.workers import CHANNELS, CLOSED, Share, Workers
from convnet.errors import ConvnetError
from convnet.pixels import Minibatch, Pixels
from convnet.shape import Shape

NAME = "image-batches"
_MINI = 128  # cases decoded at once where whole batches are asked for
_NO_LABEL = -1


def open_image_batches(options: ProviderOptions) -> DataProvider:
    """The data batches in the folder `options.path`: those that `convnet data make` writes, or convnet2's.

    Raises ConvnetError where the folder holds neither, and for what is wrong with its files.
    """
    path = options.data_path
    source = open_image_source(path)
    if source is None:
        raise ConvnetError(f"{path}: expected data batches of photographs (batches.json or batches.meta), found none")
    return ImageProvider(source, options)


class _Cases:
    """Where the JPEGs of all cases lie, and their labels; read batch by batch, when they are asked for."""

    def __init__(self, source: ImageSource, batches: Mapping[int, range]) -> None:
        """batches: the numbers of the cases of each."""
        count = sum(map(len, batches.values()))
        self._source, self._batches = source, batches
        self.numbers = np.concatenate([np.arange(len(batch)) for batch in batches.values()] or [np.empty(0, np.int64)])
        self.places = np.empty((count, 3), np.int64)  # which of `paths`, offset, bytes
        self.labels: list[tuple[int, ...]] = [()] * count
        self.paths: list[str] = []
        self._indices: dict[str, int] = {}  # of paths
        self._alike: dict[tuple[int, ...], tuple[int, ...]] = {}  # so that equal labels are one object
        self._known: set[int] = set()
        self._lock = threading.Lock()

    def read(self, batchnum: int) -> None:
        """Read a batch, if that has not been done. Raises ConvnetError for damage."""
        with self._lock:
            if batchnum in self._known:
                return
            records, cases = self._source.records(batchnum), self._batches[batchnum]
            part = slice(cases.start, cases.stop)
            files = np.array([self._index(str(path)) for path in records.paths], np.int64)
            self.places[part] = np.stack([files[records.files], records.offsets, records.sizes], axis=1)
            self.labels[part] = [self._alike.setdefault(labels, labels) for labels in records.labels]
            self._known.add(batchnum)

    def _index(self, path: str) -> int:
        """The index of a path."""
        if path not in self._indices:
            self._indices[path] = len(self.paths)
            self.paths.append(path)
        return self._indices[path]


class ImageProvider(DataProvider):
    """Serves photographs as Pixels. The processes are started when the first batch is opened.

    They end with `close`, and when nothing refers to the provider any more. Raises ConvnetError where the options do
    not fit the images.
    """

    sample = False

    def __init__(self, source: ImageSource, options: ProviderOptions) -> None:
        """Look at what the source tells; no image is read."""
        self.name, self.description, self.label_names = source.name, source.description, source.label_names
        self.num_classes = len(source.label_names)
        self.train_batches, self.test_batches = source.train_batches, source.test_batches
        self._options, self._several_labels = options, source.several_labels
        cropped = bool(options.crop or options.crop_border)
        if source.alike is False and not cropped:
            raise ConvnetError(
                f"{self.description}: expected images of {source.side}x{source.side} pixels, found several sizes; "
                "squares can be cut from them (--crop)"
            )
        self._exact = not cropped
        self._size = window((source.side, source.side), options, self.description)
        self.shapes = [Shape.of_maps(CHANNELS, *self._size), Shape(1)]
        if source.several_labels:
            self.shapes.append(Shape(self.num_classes))
        if options.noise and source.colour_axes is None:
            raise ConvnetError(f"{self.description}: expected the axes of its colours for colour noise, found none")
        axes = source.colour_axes if options.noise else None
        self._statistics = Statistics(self.description, options, self._size, source.mean, axes)
        self.subtracted = self._statistics.subtracted
        self._batches = _numbered(source)
        self._stored = _Cases(source, self._batches)
        self._workers: Workers | None = None
        self._closed = False
        self._starting = threading.Lock()

    def cases(self, batchnum: int) -> int:
        """The number of cases in a batch. Raises ConvnetError for a batch that is not there."""
        return len(self._batch(batchnum))

    def get_batch(
        self, batchnum: int, epoch: int, *, train: bool, shuffle: bool = False, batch_range: Sequence[int] = (),
        view: int | None = None,
    ) -> Batch:  # fmt: skip
        """See DataProvider."""
        cases = self._ordered(batchnum, epoch, batch_range if shuffle else None)
        if view is not None:
            check_views(self._options, self.description)
        order = Order.of(cases, _MINI, epoch, train, (augment.CENTRE if view is None else view,))
        matrices: Batch = [np.empty((len(cases), *_dimensions(shape)), np.float32) for shape in self.shapes]
        start = 0
        for minibatch in Reader(self, order):
            part = slice(start, start + len(minibatch[0]))
            for matrix, values in zip(matrices, minibatch, strict=True):
                ready = values.normalized(self._statistics.subtracted) if isinstance(values, Pixels) else values
                matrix[part] = ready
            start = part.stop
        return matrices

    def open_batch(
        self, batchnum: int, epoch: int, mini: int, *, train: bool, shuffle: bool = False,
        batch_range: Sequence[int] = (), first: int = 0, multiview: bool = False,
    ) -> Iterator[Minibatch]:  # fmt: skip
        """See DataProvider. The images are Pixels; decoding goes on while a minibatch is used."""
        cases = self._ordered(batchnum, epoch, batch_range if shuffle else None)[first:]
        if not multiview:
            return Reader(self, Order.of(cases, mini, epoch, train, (augment.CENTRE,)))
        check_views(self._options, self.description)
        return Reader(self, Order.of(cases, mini, epoch, train, tuple(range(augment.PLAIN_VIEWS)), mirrors=True))

    def statistics(self) -> dict[str, Array]:
        """See DataProvider."""
        return self._statistics.copies()

    def use_statistics(self, values: Mapping[str, Array]) -> None:
        """See DataProvider."""
        self._statistics.use(values)
        self.subtracted = self._statistics.subtracted

    def close(self) -> None:
        """End the processes. Batches that are open give a ConvnetError from now on, and no others can be opened."""
        with self._starting:
            self._closed = True
            if self._workers is not None:
                self._workers.close()

    def workers(self) -> Workers:
        """The worker processes. Raises ConvnetError where they cannot be started, or have ended."""
        with self._starting:
            if self._closed:
                raise ConvnetError(CLOSED)
            if self._workers is None:
                self._workers = Workers(self._options.workers or len(os.sched_getaffinity(0)))
                weakref.finalize(self, self._workers.close)
            return self._workers

    def shares(self, order: Order, cases: Integers, target: int, cancelled: int) -> list[Share]:
        """Minibatch `cases` of a reader, divided among the processes; the pixels go to byte `target` of the memory."""
        y, x = self._size
        image = y * x * CHANNELS
        words = augment.draw(self._options.seed, augment.GEOMETRY, order.epoch, cases) if order.train else None
        mirrored = self._mirrored(order, words, len(cases))
        parts = np.array_split(np.arange(len(cases)), min(len(cases), len(self.workers())))
        found = []
        for part in parts:
            places = self._stored.places[cases[part]]
            files, places[:, 0] = np.unique(places[:, 0], return_inverse=True)
            found.append(
                Share(
                    first=int(part[0]),
                    cases=self._stored.numbers[cases[part]],
                    paths=tuple(self._stored.paths[file] for file in files),
                    places=places,
                    size=self._size,
                    exact=self._exact,
                    mirrored=mirrored[part],
                    words=None if words is None else words[part, :2],
                    views=order.views,
                    target=target + int(part[0]) * image,
                    stride=len(cases) * image,
                    cancelled=cancelled,
                )
            )
        return found

    def _mirrored(self, order: Order, words: Words | None, count: int) -> Array:
        """Which images of a minibatch are decoded mirrored."""
        if words is None:
            return np.full(count, order.views[0] >= augment.PLAIN_VIEWS)
        return augment.chosen(words[:, 2]) & self._options.augments_by_flips

    def matrices(self, order: Order, cases: Integers, pixels: Array) -> Minibatch:
        """The minibatch of these cases, whose `pixels` are decoded."""
        shifts = self._statistics.shifts(order.epoch, cases) if order.train else None
        labels = [self._stored.labels[case] for case in cases]
        counts = np.array([len(one) for one in labels])
        chosen = np.zeros_like(counts)
        if order.train and self._several_labels:
            words = augment.draw(self._options.seed, augment.LABEL, order.epoch, cases)[:, 0]
            chosen = augment.below(counts, words)
        taken = [one[index] if one else _NO_LABEL for one, index in zip(labels, chosen, strict=True)]
        found: list[Array | Pixels] = [Pixels(pixels, shifts), np.array(taken, np.float32)[:, None]]
        if self._several_labels:
            matrix = np.zeros((len(cases), self.num_classes), np.float32)
            matrix[np.repeat(np.arange(len(cases)), counts), [label for one in labels for label in one]] = 1
            found.append(matrix)
        return found

    def _batch(self, batchnum: int) -> range:
        """The cases of a batch."""
        if batchnum not in self._batches:
            numbers = [*self._batches]
            raise ConvnetError(
                f"{self.description}: expected one of its {len(numbers)} batches, "
                f"{numbers[0]} to {numbers[-1]}, found {batchnum}"
            )
        return self._batches[batchnum]

    def _ordered(self, batchnum: int, epoch: int, shuffled_range: Sequence[int] | None) -> Integers:
        """The cases that make up a batch; with a range, when all cases of it are in a new order. They are read."""
        needed = [batchnum] if shuffled_range is None else shuffled_range
        batches = [self._batch(number) for number in needed]
        for number in needed:
            self._stored.read(number)
        if shuffled_range is None:
            return np.array(batches[0])
        return shuffled(batches, shuffled_range.index(batchnum), self._options.seed, epoch)


def _numbered(source: ImageSource) -> dict[int, range]:
    """The numbers of the cases of each batch: those of all batches, in order, are counted through."""
    numbers = sorted({*source.train_batches, *source.test_batches})
    ends = np.cumsum([0, *map(source.cases, numbers)]).tolist()
    return {number: range(*pair) for number, pair in zip(numbers, pairwise(ends), strict=True)}


def _dimensions(shape: Shape) -> tuple[int, ...]:
    """Of the array of one case."""
    return (shape.maps.y, shape.maps.x, shape.maps.channels) if shape.maps else (shape.features,)
