"""What is told of data, and that images are not read for it where that is not needed."""

import json
import pickle

import numpy as np
import pytest

from convnet.data.info import data_info
from convnet.data.provider import ProviderOptions
from convnet.errors import ConvnetError

from .makers import random_images, write_folder

MEAN = np.random.default_rng(0).uniform(0, 255, (6, 6, 3)).astype(np.float32)
AXES = np.array([[3.0, 0, 0], [0, 4, 0], [0, 0, 5]])
NO_JPEG = b"\xff\xd8\xff, and what can be decoded by nobody"


def told(path, axes=False, **options):
    return data_info(ProviderOptions(path=path, **options), axes=axes)


def write_arrays(path, images, labels, test_images, test_labels):
    np.savez(path, train_images=images, train_labels=labels, test_images=test_images, test_labels=test_labels)
    return path


def test_images_in_memory(tmp_path):
    images = random_images(11, 5, 7, 3)
    labels = np.array([0, 1, 1, 3, 1, 0, 0, 0, 1, 1, 1])
    path = write_arrays(tmp_path / "data.npz", images[:8], labels[:8], images[8:], labels[8:])
    info = told(path, batch_size=3)
    assert (info.description, info.provider, info.shape) == ("arrays in data.npz", "npz", (3, 5, 7))
    assert (info.train.batches, info.test.batches) == ({1: 3, 2: 3, 3: 2}, {4: 3})
    assert (info.train.counts, info.test.counts) == ([4, 3, 0, 1], [0, 3, 0, 0])
    assert (info.train.cases, info.train.unlabelled) == (8, 0)
    assert (info.several_labels, info.stored, info.colour_axes) == (False, None, None)
    np.testing.assert_allclose(info.mean, images[:8].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(info.mean_colour, images[:8].mean(axis=(0, 1, 2)), rtol=1e-6)
    axes = told(path, axes=True).colour_axes
    covariance = np.cov(images[:8].reshape(-1, 3).astype(float).T, bias=True)
    np.testing.assert_allclose(axes.T.astype(float) @ axes, covariance, rtol=1e-4)


def test_grey_images_and_features(tmp_path):
    labels = np.arange(4) % 2
    grey = random_images(4, 3, 2, 1)
    info = told(write_arrays(tmp_path / "grey.npz", grey, labels, grey, labels), axes=True)
    assert (info.shape, info.colour_axes) == ((1, 3, 2), None)
    assert len(info.mean_colour) == 1
    rows = np.random.default_rng(1).normal(size=(4, 6))
    info = told(write_arrays(tmp_path / "rows.npz", rows, labels, rows, labels), axes=True)
    assert (info.shape, info.colour_axes, info.mean_colour) == ((6,), None, None)
    np.testing.assert_allclose(info.mean, rows.mean(axis=0), atol=1e-6)


def write_convnet2(path):
    meta = {"label_names": ["a", "b", "c"], "data_mean": MEAN.transpose(2, 0, 1).reshape(-1, 1),
            "color_pca": (np.array([3.0, 4, 5]), np.eye(3))}  # fmt: skip
    files = {"batches.meta": pickle.dumps(meta)}
    for number, labels in ((0, [[0], [2, 1]]), (1, [[2]]), (1000, [[], [2], [2]])):
        batch = {"data": [NO_JPEG] * len(labels), "labels": labels}
        files[f"data_batch_{number}/data_batch_{number}.0"] = pickle.dumps(batch)
    return write_folder(path, files)


def write_shards(path):
    """As `convnet data make` writes them."""
    sizes = np.full(6, len(NO_JPEG))
    meta = {"format": 1, "description": "photographs of nothing", "size": 6, "square": True, "quality": 90, "seed": 0,
            "label_names": ["a", "b", "c"], "train": [2, 1], "test": [3], "several_labels": True, "bad": 0,
            "class_counts": {"train": [1, 1, 2], "test": [0, 0, 2]}, "source": "nowhere"}  # fmt: skip
    files = {f"data_batch_{number}.tar": NO_JPEG * 4 for number in (1, 2, 3)}
    write_folder(path, {"batches.json": json.dumps(meta).encode(), **files})
    np.savez(
        path / "index.npz", offsets=np.array([0, 1, 0, 0, 1, 2]) * len(NO_JPEG), sizes=sizes,
        shapes=np.full((6, 2), 6, np.int32), labels=np.array([0, 2, 1, 2, 2, 2], np.int32),
        label_ends=np.array([1, 3, 4, 4, 5, 6]),
    )  # fmt: skip
    np.savez(path / "statistics.npz", mean=MEAN, covariance=AXES**2)
    return path


@pytest.mark.parametrize(
    ("write", "provider", "numbers"), [(write_convnet2, "convnet2", (0, 1, 1000)), (write_shards, "shards", (1, 2, 3))]
)
def test_photographs_are_not_decoded(tmp_path, write, provider, numbers):
    info = told(write(tmp_path / "data"))
    assert (info.provider, info.shape) == (provider, (3, 6, 6))
    assert (info.train.batches, info.test.batches) == ({numbers[0]: 2, numbers[1]: 1}, {numbers[2]: 3})
    assert (info.train.counts, info.test.counts) == ([1, 1, 2], [0, 0, 2])
    assert (info.train.unlabelled, info.test.unlabelled) == (0, 1)
    assert (info.several_labels, info.stored) == (True, 6 * len(NO_JPEG))
    np.testing.assert_array_equal(info.mean, MEAN)
    np.testing.assert_allclose(np.abs(info.colour_axes), AXES, atol=1e-9)


def test_as_json(tmp_path):
    plain = json.loads(json.dumps(told(write_convnet2(tmp_path / "data")).plain()))
    assert plain["train"] == {"cases": 3, "unlabelled": 0, "batches": {"0": 2, "1": 1}}
    assert plain["classes"][2] == {"name": "c", "train": 2, "test": 2}
    assert plain["shape"] == [3, 6, 6]
    assert plain["colour_axes"] == AXES.tolist()
    np.testing.assert_allclose(plain["mean_colour"], MEAN.mean(axis=(0, 1)), rtol=1e-6)


def test_errors(tmp_path):
    with pytest.raises(ConvnetError, match="nothing: expected data, but there is no such file or folder"):
        told(tmp_path / "nothing")
    path = write_convnet2(tmp_path / "data")
    (path / "data_batch_1/data_batch_1.0").write_bytes(b"")
    with pytest.raises(ConvnetError, match=r"data_batch_1\.0: expected a pickle"):
        told(path)
