"""Photographs stored as JPEGs: a source for ImageProvider, and folders in the forms that there are."""

import io
import json
import tarfile

import numpy as np
from PIL import Image

from convnet.data.image_source import Records

from .makers import python2_pickle, write_folder, write_tar


def picture(y, x, seed):
    """Blurred random colours (y, x, 3), which a JPEG keeps well enough for no two windows of it to be equal."""
    small = np.random.default_rng(seed).integers(0, 256, (-(-y // 3), -(-x // 3), 3), np.uint8)
    return Image.fromarray(small).resize((x, y), Image.Resampling.BICUBIC)


def jpeg(image, **options):
    stream = io.BytesIO()
    image.save(stream, "jpeg", quality=90, **options)
    return stream.getvalue()


def decoded(content):
    """By Pillow, (y, x, 3)."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


class StoredImages:
    """A source, whose batches lie in two files each. contents, labels: of batch 1, 2, ..; the last is for testing."""

    name, description, alike = "stored", "stored images", None

    def __init__(self, folder, contents, labels, side, several_labels=False, colour_axes=None):
        self.contents = dict(enumerate(contents, 1))
        self.labels = dict(enumerate(labels, 1))
        *self.train_batches, last = self.contents
        self.test_batches = [last]
        self.side, self.several_labels, self.colour_axes = side, several_labels, colour_axes
        self.mean = np.random.default_rng(5).uniform(0, 255, (side, side, 3)).astype(np.float32)
        self.folder, self.reads, self.label_names = folder, [], list("abcdefg")
        for number, files in self.contents.items():
            for part in (0, 1):  # two files a batch; between the images lies something else
                self.path(number, part).write_bytes(b"".join(b"----" + content for content in files[part::2]))

    def path(self, batchnum, part):
        return self.folder / f"data_batch_{batchnum}.{part}"

    def cases(self, batchnum):
        return len(self.contents[batchnum])

    def records(self, batchnum):
        self.reads.append(batchnum)
        sizes = np.array([len(content) for content in self.contents[batchnum]])
        offsets = np.empty_like(sizes)
        for part in (0, 1):
            offsets[part::2] = np.cumsum(sizes[part::2] + 4) - sizes[part::2]
        paths = [self.path(batchnum, part) for part in (0, 1)]
        return Records(paths, np.arange(len(sizes)) % 2, offsets, sizes, self.labels[batchnum])

    @property
    def pictures(self):
        """All decoded images, in the order of their numbers."""
        return [decoded(content) for number in sorted(self.contents) for content in self.contents[number]]


def stored(folder, shapes, side, **options):
    """A source of pictures of these shapes, those of each batch in a list; every third is grey."""
    seeds = iter(range(10_000))
    pictures = [[picture(*shape, next(seeds)) for shape in batch] for batch in shapes]
    contents = [
        [jpeg(image.convert("L") if case % 3 == 2 else image) for case, image in enumerate(batch)] for batch in pictures
    ]
    labels = [[((number * 5 + case) % 7,) for case in range(len(batch))] for number, batch in enumerate(shapes)]
    return StoredImages(folder, contents, options.pop("labels", labels), side, **options)


def shards_folder(folder, pictures, side):
    """As `convnet data make` writes them: batch 1 of all but the last two to train on, batch 2 to test on."""
    contents, sizes = [jpeg(image) for image in pictures], [len(pictures) - 2, 2]
    offsets = []
    for number, part in enumerate((contents[:-2], contents[-2:]), 1):
        files = {f"{case:08}.jpg": content for case, content in enumerate(part)}
        path = write_tar(folder / f"data_batch_{number}.tar", files)
        with tarfile.open(path) as archive:
            offsets += [member.offset_data for member in archive]
    count = len(pictures)
    np.savez(
        folder / "index.npz", offsets=offsets, sizes=[len(content) for content in contents],
        shapes=[(image.height, image.width) for image in pictures], labels=np.arange(count) % 3,
        label_ends=np.arange(1, count + 1),
    )  # fmt: skip
    np.savez(folder / "statistics.npz", mean=np.full((side, side, 3), 99, np.float32), covariance=np.eye(3))
    meta = {"format": 1, "description": "photographs", "size": side, "square": False, "quality": 90, "seed": 0,
            "label_names": list("abc"), "train": sizes[:1], "test": sizes[1:], "several_labels": False, "bad": 0,
            "class_counts": {"train": [3, 2, 2], "test": [0, 1, 1]}, "source": "x"}  # fmt: skip
    (folder / "batches.json").write_text(json.dumps(meta))


def convnet2_folder(folder, pictures, side):
    """As cuda-convnet2's make-data.py wrote them: batch 0 in two files to train on, batch 1000 to test on."""
    contents = [jpeg(image) for image in pictures]
    labels = [[case % 3] for case in range(len(contents))]
    parts = {"data_batch_0/data_batch_0.0": slice(0, 3), "data_batch_0/data_batch_0.1": slice(3, -2),
             "data_batch_1000/data_batch_1000.0": slice(-2, None)}  # fmt: skip
    meta = {b"label_names": [b"a", b"b", b"c"], b"num_vis": 3 * side**2, b"batch_size": 7,
            b"data_mean": np.full((3 * side**2, 1), 99, np.float32), b"color_pca": (np.ones(3), np.eye(3))}  # fmt: skip
    batches = {name: python2_pickle({b"data": contents[part], b"labels": labels[part]}) for name, part in parts.items()}
    write_folder(folder, {"batches.meta": python2_pickle(meta), **batches})
