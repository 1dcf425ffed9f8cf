"""IDX files."""

import gzip

import numpy as np
import pytest

from convnet.data.provider import ProviderOptions
from convnet.data.registry import open_provider
from convnet.errors import ConvnetError

from .makers import idx_bytes, random_images, write_idx

TRAIN, TEST = random_images(25, 9, 7, 1)[..., 0], random_images(11, 9, 7, 1, seed=1)[..., 0]
TRAIN_LABELS, TEST_LABELS = np.arange(25) % 4, np.arange(11) % 4


def opened(path, **options):
    return open_provider(ProviderOptions(path=path, **options))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_reads_images_and_labels(tmp_path, zipped, dotted):
    write_idx(tmp_path, TRAIN, TRAIN_LABELS, TEST, TEST_LABELS, zipped)
    if dotted:
        for file in list(tmp_path.iterdir()):
            file.rename(tmp_path / file.name.replace("-idx", ".idx"))
    data = opened(tmp_path, batch_size=10)
    assert (data.name, data.train_batches, data.test_batches) == ("idx", [1, 2, 3], [4, 5])
    assert data.shapes[0].maps == (1, 9, 7)
    assert data.num_classes == 4
    mean = TRAIN.astype(np.float64).mean(axis=0)
    for batchnum, pixels, labels in ((2, TRAIN[10:20], TRAIN_LABELS[10:20]), (5, TEST[10:], TEST_LABELS[10:])):
        found = data.get_batch(batchnum, 1, train=False)
        np.testing.assert_allclose(found[0][..., 0], pixels - mean, atol=1e-4)
        np.testing.assert_array_equal(found[1][:, 0], labels)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "begins with 00000803, found "),
        (b"\0\0\x0d\3" + idx_bytes(TRAIN)[4:], "begins with 00000803, found 00000d03"),
        (idx_bytes(TRAIN_LABELS.astype(np.uint8)), "begins with 00000803, found 00000801"),
        (idx_bytes(TRAIN)[:10], "begins with 00000803"),
        (idx_bytes(TRAIN)[:-1], r"expected \(25, 9, 7\) = 1575 bytes, found 1574"),
        (idx_bytes(TRAIN) + b"x", r"expected \(25, 9, 7\) = 1575 bytes, found 1576"),
        (idx_bytes(TRAIN[:0]), r"found an empty array \(0, 9, 7\)"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, text):
    write_idx(tmp_path, TRAIN, TRAIN_LABELS, TEST, TEST_LABELS)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ConvnetError, match=f"{tmp_path}/train-images-idx3-ubyte: .*{text}"):
        opened(tmp_path)


def test_a_damaged_gz_is_named(tmp_path):
    write_idx(tmp_path, TRAIN, TRAIN_LABELS, TEST, TEST_LABELS, zipped=True)
    whole = gzip.compress(idx_bytes(TEST))
    for content in (whole[:-20], b"nothing", whole[:30] + b"\xff" * 30 + whole[60:]):
        (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(content)
        with pytest.raises(ConvnetError, match=f"{tmp_path}/t10k-images-idx3-ubyte.gz: cannot be read"):
            opened(tmp_path)


def test_sets_that_do_not_agree(tmp_path):
    write_idx(tmp_path, TRAIN, TRAIN_LABELS[:-1], TEST, TEST_LABELS)
    with pytest.raises(ConvnetError, match=r"train: expected as many labels as images \(25\), found 24"):
        opened(tmp_path)
    write_idx(tmp_path, TRAIN, TRAIN_LABELS, TEST[:, 1:], TEST_LABELS)
    with pytest.raises(ConvnetError, match=r"train images are \(9, 7\) and t10k images \(8, 7\)"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_missing_file_is_named(tmp_path, name):
    write_idx(tmp_path, TRAIN, TRAIN_LABELS, TEST, TEST_LABELS)
    (tmp_path / name).unlink()
    with pytest.raises(ConvnetError, match=f"{tmp_path}: expected the file {name}"):
        opened(tmp_path)
