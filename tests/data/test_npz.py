"""NumPy's .npz files."""

import io
import random
import struct
import zipfile

import numpy as np
import pytest

from convnet.data.provider import ProviderOptions
from convnet.data.registry import open_provider
from convnet.errors import ConvnetError

from .makers import random_images

IMAGES, LABELS = random_images(30, 5, 7, 2), np.arange(30) % 3


def opened(path, **options):
    return open_provider(ProviderOptions(path=path, **options))


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "d.npz", **arrays)
    return tmp_path / "d.npz"


def sets(train, test):
    return {"train_images": train, "train_labels": LABELS[: len(train)], "test_images": test,
            "test_labels": LABELS[: len(test)]}  # fmt: skip


@pytest.mark.parametrize(
    "images", [IMAGES, IMAGES[..., 0], IMAGES / 7.0, IMAGES.astype(np.int16) - 300, IMAGES[..., 0] > 100], ids=str
)
def test_own_test_set(tmp_path, images):
    data = opened(saved(tmp_path, **sets(images[:21], images[21:])), batch_size=10)
    assert (data.name, data.train_batches, data.test_batches) == ("npz", [1, 2, 3], [4])
    assert data.shapes[0].maps == (images.shape[3] if images.ndim == 4 else 1, 5, 7)
    expected = images.astype(np.float64) - images[:21].astype(np.float64).mean(axis=0)
    expected = expected.reshape(30, 5, 7, -1)
    np.testing.assert_allclose(data.get_batch(2, 1, train=True)[0], expected[10:20], atol=1e-4)
    np.testing.assert_allclose(data.get_batch(4, 1, train=False)[0], expected[21:], atol=1e-4)
    np.testing.assert_array_equal(data.get_batch(2, 1, train=True)[1][:, 0], LABELS[10:20])


@pytest.mark.parametrize("prefix", ["", "train_"])
@pytest.mark.parametrize(("share", "tested"), [(None, 2), (0.5, 5), (0.01, 1), (0.99, 9)])
def test_a_share_of_each_class_is_tested(tmp_path, prefix, share, tested):
    """Each case lands in exactly one set, and its image stays with its label."""
    numbered = np.arange(30)[:, None, None] * np.ones((30, 3, 4))
    path = saved(tmp_path, **{f"{prefix}images": numbered, f"{prefix}labels": LABELS})
    data = opened(path, test_share=share, scalar_mean=0.0)
    parts = [data.get_batch(number, 1, train=False) for number in (*data.train_batches, *data.test_batches)]
    cases = [images[:, 0, 0, 0].astype(int) for images, _ in parts]
    assert sorted(np.concatenate(cases)) == list(range(30))
    for numbers, (_, labels) in zip(cases, parts, strict=True):
        np.testing.assert_array_equal(labels[:, 0], LABELS[numbers])
    assert np.bincount(LABELS[cases[-1]]).tolist() == [tested] * 3
    other = opened(path, test_share=share, scalar_mean=0.0, seed=9)
    np.testing.assert_array_equal(other.get_batch(2, 1, train=False)[0], parts[1][0])


def test_a_test_set_alone(tmp_path):
    path = saved(tmp_path, test_images=IMAGES, test_labels=LABELS)
    data = opened(path, batch_size=20)
    assert (data.train_batches, data.test_batches, data.num_classes) == ([], [1, 2], 3)
    np.testing.assert_array_equal(data.get_batch(2, 1, train=False)[0], IMAGES[20:])
    np.testing.assert_array_equal(data.get_batch(2, 1, train=False)[1][:, 0], LABELS[20:])
    with pytest.raises(ConvnetError, match="a test share was given"):
        opened(path, test_share=0.5)


@pytest.mark.parametrize("shape", [(6, 3, 9, 1), (6, 3, 9, 3), (6, 1, 9, 4), (6, 4, 9, 9)])
def test_images_with_few_rows_are_not_taken_for_channels_first(tmp_path, shape):
    data = opened(saved(tmp_path, images=np.zeros(shape), labels=LABELS[:6]))
    assert data.shapes[0].maps == (shape[3], *shape[1:3])


def test_features(tmp_path):
    data = opened(saved(tmp_path, images=IMAGES.reshape(30, -1), labels=LABELS))
    assert data.shapes[0].features == 70
    assert data.shapes[0].maps is None


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"train_images": IMAGES[:, 0, 0, 0]}, r"train_images: expected numbers .*; found uint8 of shape \(30,\)"),
        ({"train_images": IMAGES[None]}, r"train_images: expected numbers of shape"),
        ({"train_images": IMAGES[:0]}, r"train_images: expected numbers .*none of them 0"),
        ({"train_images": IMAGES.astype(np.complex64)}, r"train_images: expected numbers .*; found complex64"),
        ({"train_images": np.full(IMAGES.shape, np.nan)}, r"train_images: expected finite numbers"),
        ({"train_labels": LABELS[:29]}, r"train_labels: expected integers of shape \(30,\); .* shape \(29,\)"),
        ({"train_labels": LABELS[:, None]}, r"train_labels: expected integers of shape \(30,\)"),
        ({"train_labels": LABELS + 0.5}, r"train_labels: expected integers .*; found float64"),
        ({"train_labels": LABELS - 1}, r"train_labels: expected 0 to 999999; found -1 to 1"),
        ({"train_labels": LABELS * 10**6}, r"train_labels: expected 0 to 999999; found 0 to 2000000"),
        ({"test_images": IMAGES[:9, 1:]}, r"one size, found train_images of \(30, 5, 7, 2\) and test_images of \(9, 4"),
        ({"test_labels": LABELS[:8]}, r"test_labels: expected integers of shape \(9,\)"),
        ({"train_images": None}, r"expected an array train_images, found train_labels, test_images, test_labels"),
        ({"test_images": None}, r"expected an array test_images"),
        ({"train_images": IMAGES.transpose(0, 3, 1, 2)[:, :1]},
         r"train_images: expected the order \(cases, y, x, channels\); found uint8 of shape \(30, 1, 5, 7\), which "
         "looks like channels first"),
        ({"test_images": np.zeros((9, 3, 8, 8))}, r"test_images: expected the order .* \(9, 3, 8, 8\), which looks"),
        ({"train_images": None, "train_labels": None, "test_labels": None}, r"expected an array test_labels, found"),
    ],
)
def test_a_wrong_array_is_named(tmp_path, changed, text):
    arrays = {**sets(IMAGES, IMAGES[:9]), **changed}
    path = saved(tmp_path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(ConvnetError, match=f"{path}: .*{text}"):
        opened(path)


def test_arrays_of_objects_are_refused(tmp_path):
    path = saved(tmp_path, images=np.array([1, "x"], object), labels=LABELS)
    with pytest.raises(ConvnetError, match=f"{path}: expected a .npz file of plain arrays"):
        opened(path)


def test_files_that_are_no_npz(tmp_path):
    path, stream = tmp_path / "d.npz", io.BytesIO()
    np.save(stream, IMAGES)
    whole = saved(tmp_path, images=IMAGES, labels=LABELS).read_bytes()
    damaged = bytearray(whole)
    damaged[300:400] = b"\0" * 100
    for content in (b"", b"text", stream.getvalue(), whole[:-50], bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(ConvnetError, match=f"{path}: expected a .npz file"):
            opened(path)


def test_members_that_are_no_arrays_and_damaged_headers(tmp_path):
    """Every byte of the header of an array changed to many others: an error or data, never another exception."""
    path = saved(tmp_path, images=IMAGES, labels=LABELS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.npy", b"text")
    with pytest.raises(ConvnetError, match=f"{path}: expected a .npz file of plain arrays: notes is no array"):
        opened(path)
    stream = io.BytesIO()
    np.save(stream, LABELS)
    whole, drawn = stream.getvalue(), random.Random(0)
    for position in range(100):
        for byte in (0, 255, *b"()[]{}'\\#\n", *(drawn.randrange(256) for _ in range(4))):
            content = bytearray(whole)
            content[position] = byte
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("labels.npy", bytes(content))
            with pytest.raises(ConvnetError, match=f"{path}: "):
                opened(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000000,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (10000000000000000000000000,)}",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': [('a',)], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': {'names': 1}, 'fortran_order': False, 'shape': (1,)}",
        "{[]: 1}",
        "{1: 2, 'a': 3}",
        "if 1:\n    2\n  3",
        "(" * 5000,
        "-" * 9000 + "1",
        "'",
    ],
    ids=range(11),
)
def test_headers_that_numpy_stumbles_over(tmp_path, header):
    path, content = tmp_path / "d.npz", header.encode() + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(content)) + content + bytes(8))
    with pytest.raises(ConvnetError, match=f"{path}: expected a .npz file of plain arrays"):
        opened(path)


def test_a_test_share_beside_a_test_set(tmp_path):
    with pytest.raises(ConvnetError, match="a test share was given, but the data has a test set of its own"):
        opened(saved(tmp_path, **sets(IMAGES, IMAGES)), test_share=0.5)
