"""CIFAR in its three forms, and other data in cuda-convnet's form."""

import pickle

import numpy as np
import pytest

from convnet.data.provider import ProviderOptions
from convnet.data.registry import open_provider
from convnet.errors import ConvnetError

from .makers import python2_pickle, random_images, write_folder, write_tar

SIZES = [12, 12, 12, 12, 12, 7]
NAMES = [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse", b"ship", b"truck"]
IMAGES = random_images(sum(SIZES), 32, 32, 3)
LABELS = np.random.default_rng(1).integers(0, 10, sum(SIZES))
ENDS = np.cumsum([0, *SIZES])


def row(image):
    """One image as the published form has it: all of red, then green, then blue, each by rows."""
    return np.array([image[y, x, channel] for channel in range(3) for y in range(32) for x in range(32)])


ROWS = np.stack([row(image) for image in IMAGES])


def published(write=python2_pickle):
    files = {"batches.meta": write({b"label_names": NAMES, b"num_vis": 3072, b"num_cases_per_batch": 12})}
    for number in range(6):
        part = slice(ENDS[number], ENDS[number + 1])
        name = f"data_batch_{number + 1}" if number < 5 else "test_batch"
        files[name] = write({b"data": ROWS[part], b"labels": LABELS[part].tolist(), b"batch_label": b"some batch"})
    return files


def colmajor(write=python2_pickle):
    mean = ROWS[: ENDS[5]].mean(axis=0).astype(np.float32)[:, None]
    files = {"batches.meta": write({b"label_names": NAMES, b"num_vis": 3072, b"data_mean": mean})}
    for number in range(6):
        part = slice(ENDS[number], ENDS[number + 1])
        data = np.ascontiguousarray(ROWS[part].T)
        files[f"data_batch_{number + 1}"] = write({b"data": data, b"labels": LABELS[part].tolist()})
    return files


def hundred(write=python2_pickle):
    coarse = [0] * sum(SIZES)
    files = {"meta": write({b"fine_label_names": NAMES, b"coarse_label_names": [b"things"]})}
    for name, part in (("train", slice(0, ENDS[5])), ("test", slice(ENDS[5], ENDS[6]))):
        labels = LABELS[part].tolist()
        files[name] = write({b"data": ROWS[part], b"fine_labels": labels, b"coarse_labels": coarse[part]})
    return files


def opened(path, **options):
    return open_provider(ProviderOptions(path=path, **options))


def everything(data, train=False):
    batches = [data.get_batch(number, 1, train=train) for number in (*data.train_batches, *data.test_batches)]
    return np.concatenate([batch[0] for batch in batches]), np.concatenate([batch[1] for batch in batches])[:, 0]


def python3_pickle(value):
    return pickle.dumps({key.decode(): item for key, item in value.items()}, 4)


@pytest.mark.parametrize("form", [published, colmajor, hundred])
@pytest.mark.parametrize("write", [python2_pickle, python3_pickle])
def test_every_form_gives_the_images(tmp_path, form, write):
    data = opened(write_folder(tmp_path, form(write)))
    assert data.name == "cifar"
    assert (data.train_batches, data.test_batches) == ([1, 2, 3, 4, 5], [6])
    assert [data.cases(number) for number in range(1, 7)] == SIZES
    assert data.label_names == [name.decode() for name in NAMES]
    images, labels = everything(data)
    np.testing.assert_allclose(images, IMAGES - IMAGES[: ENDS[5]].mean(axis=0), atol=1e-4)
    np.testing.assert_array_equal(labels, LABELS)


def test_cuda_convnets_form_brings_its_own_mean(tmp_path):
    files = colmajor()
    mean = np.random.default_rng(2).uniform(0, 255, (3072, 1)).astype(np.float32)
    files["batches.meta"] = python2_pickle({b"label_names": NAMES, b"data_mean": mean})
    images, _ = everything(opened(write_folder(tmp_path, files), crop_border=3))
    expected = (ROWS - mean[:, 0]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)[:, 3:29, 3:29]
    np.testing.assert_allclose(images, expected, atol=1e-4)


@pytest.mark.parametrize(("form", "top"), [(published, "cifar-10-batches-py/"), (hundred, "cifar-100-python/")])
def test_an_archive_and_a_folder_around_the_folder(tmp_path, form, top):
    files = {top + name: content for name, content in form().items()}
    archive = write_tar(tmp_path / "cifar.tar.gz", {top + "readme.html": b"", **files}, folders=[top])
    expected = everything(opened(write_folder(tmp_path / "plain", form())))
    for path in (archive, write_folder(tmp_path / "around", files)):
        for one, other in zip(everything(opened(path)), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_folder_with_nothing_but_the_archive(tmp_path):
    files = published()
    write_tar(tmp_path / "cifar.tar.gz", {"cifar-10-batches-py/" + name: content for name, content in files.items()})
    assert opened(tmp_path).name == "cifar"


def test_cifar_cropped(tmp_path):
    path = write_folder(tmp_path, published())
    cropped = opened(path, provider="cifar-cropped")
    assert cropped.name == "cifar-cropped"
    assert cropped.shapes[0].maps == (3, 24, 24)
    same = opened(path, crop_border=4)
    for one, other in zip(everything(cropped, train=True), everything(same, train=True), strict=True):
        np.testing.assert_array_equal(one, other)
    assert opened(path, provider="cifar-cropped", crop_border=2).shapes[0].maps == (3, 28, 28)
    assert opened(path, provider="cifar-cropped", crop=20).shapes[0].maps == (3, 20, 20)


def test_other_batches(tmp_path):
    data = opened(write_folder(tmp_path, published()), batch_size=25)
    assert [data.cases(number) for number in data.train_batches] == [25, 25, 10]
    assert [data.cases(number) for number in data.test_batches] == [7]
    np.testing.assert_array_equal(everything(data)[1], LABELS)


BATCH = {b"data": ROWS[:12], b"labels": LABELS[:12].tolist()}


@pytest.mark.parametrize("changed", [{b"data": ROWS[:12, :3071]}, {b"data": np.ascontiguousarray(ROWS[:12].T)},
                                     {b"data": ROWS[:12].astype(np.float32)}, {b"data": 5}, {b"data": ROWS[0]},
                                     {b"labels": [0] * 11}, {b"labels": [0] * 11 + [10]}, {b"labels": [0] * 11 + [-1]},
                                     {b"labels": [0] * 11 + [[0]]}, {b"labels": 3},
                                     {b"labels": np.zeros(12, np.float32)}])  # fmt: skip
def test_a_batch_that_is_not_as_expected(tmp_path, changed):
    path = write_folder(tmp_path, {**published(), "data_batch_3": python2_pickle({**BATCH, **changed})})
    with pytest.raises(ConvnetError) as error:
        opened(path)
    (name,) = changed
    assert f"{path}: data_batch_3: expected" in str(error.value)
    assert name.decode() in str(error.value)


@pytest.mark.parametrize("meta", [{}, {b"label_names": 3}, {b"label_names": []}, {b"label_names": [1, 2, 3]},
                                  {b"label_names": NAMES, b"data_mean": np.zeros((3071, 1), np.float32)},
                                  {b"label_names": NAMES, b"data_mean": np.full((3072, 1), np.nan, np.float32)},
                                  {b"label_names": NAMES, b"data_mean": 3}])  # fmt: skip
def test_a_meta_file_that_is_not_as_expected(tmp_path, meta):
    path = write_folder(tmp_path, {**colmajor(), "batches.meta": python2_pickle(meta)})
    with pytest.raises(ConvnetError, match=r"(batches.meta: expected .*(label_names|data_mean))|(data_batch_1: )"):
        opened(path)


@pytest.mark.parametrize(("form", "name"), [(published, "data_batch_4"), (colmajor, "data_batch_6"), (hundred, "test")])
def test_a_missing_file(tmp_path, form, name):
    path = write_folder(tmp_path, {key: value for key, value in form().items() if key != name})
    with pytest.raises(ConvnetError, match=f"{path}: the file {name} is missing"):
        opened(path)


def test_a_folder_without_batches(tmp_path):
    with pytest.raises(ConvnetError, match=r"expected CIFAR batches, but there is no batches\.meta or meta"):
        opened(tmp_path, provider="cifar")


def test_a_damaged_batch_and_a_damaged_archive(tmp_path):
    files = published()
    path = write_folder(tmp_path / "folder", {**files, "data_batch_2": files["data_batch_2"][:5000]})
    with pytest.raises(ConvnetError, match=f"{path}: data_batch_2: expected a pickle"):
        opened(path)
    archive = write_tar(tmp_path / "cifar-10.tar.gz", files)
    archive.write_bytes(archive.read_bytes()[:-3000])
    with pytest.raises(ConvnetError, match=f"{archive}: cannot be read"):
        opened(archive)


def numbered(data, labels, by_columns, numbers=(1, 2, 3), **meta):
    """Data of any size, (cases, numbers), in the form of cuda-convnet, one batch of 4 cases for each number."""
    files = {"batches.meta": python2_pickle({key.encode(): value for key, value in meta.items()})}
    for index, number in enumerate(numbers):
        part = slice(4 * index, 4 * index + 4)
        rows = data[part]
        stored = np.ascontiguousarray(rows.T) if by_columns else np.ascontiguousarray(rows)
        files[f"data_batch_{number}"] = python2_pickle({b"data": stored, b"labels": labels[part].tolist()})
    return files


CLASSES = [b"a", b"b"]
TWO = np.arange(12) % 2


@pytest.mark.parametrize("by_columns", [True, False])
@pytest.mark.parametrize(("channels", "side"), [(3, 5), (1, 7)])
def test_images_of_other_sizes(tmp_path, by_columns, channels, side):
    images = random_images(12, side, side, channels)
    rows = images.transpose(0, 3, 1, 2).reshape(12, -1)
    mean = np.random.default_rng(3).uniform(0, 255, (channels * side * side, 1)).astype(np.float32)
    files = numbered(rows, TWO, by_columns, label_names=CLASSES, num_vis=rows.shape[1], data_mean=mean)
    data = opened(write_folder(tmp_path, files))
    assert (data.train_batches, data.test_batches) == ([1, 2], [3])
    assert data.shapes[0].maps == (channels, side, side)
    assert data.describe().startswith("data batches in ")
    found, labels = everything(data)
    expected = images - mean.reshape(channels, side, side).transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(labels, TWO)


@pytest.mark.parametrize("by_columns", [True, False])
def test_features(tmp_path, by_columns):
    rows = np.random.default_rng(4).normal(size=(12, 16))  # no image of 4x4, because it is not of bytes
    data = opened(write_folder(tmp_path, numbered(rows, TWO, by_columns, label_names=CLASSES, num_vis=16)))
    assert (data.shapes[0].maps, data.shapes[0].features) == (None, 16)
    np.testing.assert_allclose(everything(data)[0], rows - rows[:8].mean(axis=0), atol=1e-6)


def test_float_images_by_their_meta_file(tmp_path):
    rows = np.random.default_rng(4).normal(size=(12, 2 * 9)).astype(np.float32)
    meta = {"label_names": CLASSES, "num_vis": 18, "num_colors": 2, "img_size": 3}
    data = opened(write_folder(tmp_path, numbered(rows, TWO, True, **meta)))
    assert data.shapes[0].maps == (2, 3, 3)
    images = rows.reshape(12, 2, 3, 3).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(everything(data)[0], images - images[:8].mean(axis=0), atol=1e-6)
    (tmp_path / "batches.meta").write_bytes(python2_pickle({key.encode(): value for key, value in
                                                            {**meta, "img_size": 4}.items()}))  # fmt: skip
    with pytest.raises(ConvnetError, match=r"batches.meta: expected 'num_colors' .* to be 18; found 2 \* 4 \*\* 2"):
        opened(tmp_path)


@pytest.mark.parametrize("by_columns", [True, False])
def test_as_many_cases_as_numbers(tmp_path, by_columns):
    """A square matrix of cases of one batch: with a mean image they are columns."""
    rows = random_images(12, 1, 4, 1).reshape(12, 4)
    mean = {"data_mean": np.zeros((4, 1), np.float32)} if by_columns else {}
    data = opened(write_folder(tmp_path, numbered(rows, TWO, by_columns, label_names=CLASSES, num_vis=4, **mean)))
    found, _ = everything(data)
    expected = rows - (0 if by_columns else rows[:8].mean(axis=0))
    np.testing.assert_allclose(found.reshape(12, 4), expected.reshape(12, 4), atol=1e-4)


def test_features_that_cuda_convnet_wrote(tmp_path):
    """Without names of classes, and with labels in a row of floats."""
    rows = np.random.default_rng(5).normal(size=(8, 9)).astype(np.float32)
    files = {"batches.meta": python2_pickle({b"source_model": b"/x/1.5", b"num_vis": 9, b"batch_size": 4})}
    for number in (6, 7):
        part = slice(4 * (number - 6), 4 * (number - 5))
        labels = np.array([[3, 0, 1, 3]], np.float32)
        files[f"data_batch_{number}"] = python2_pickle({b"data": rows[part], b"labels": labels})
    data = opened(write_folder(tmp_path, files))
    assert (data.train_batches, data.test_batches) == ([1], [2])
    assert data.label_names == ["0", "1", "2", "3"]
    assert "features in " in data.describe()
    found, labels = everything(data)
    np.testing.assert_allclose(found, rows - rows[:4].mean(axis=0), atol=1e-6)
    assert labels.tolist() == [3, 0, 1, 3] * 2


@pytest.mark.parametrize(
    ("numbers", "train", "test"),
    [((5,), 1, 0), ((0, 1), 1, 1), ((1, 2, 1000), 2, 1), ((1, 1000, 1001), 1, 2), ((1000, 1001), 0, 2)],
)
def test_which_batches_are_for_testing(tmp_path, numbers, train, test):
    rows = random_images(12, 2, 2, 3).reshape(12, 12)
    files = numbered(rows, TWO, False, numbers, label_names=CLASSES, num_vis=12)
    data = opened(write_folder(tmp_path, files))
    assert (len(data.train_batches), len(data.test_batches)) == (train, test)
    np.testing.assert_array_equal(everything(data)[1], TWO[: 4 * len(numbers)])


@pytest.mark.parametrize("form", [published, colmajor])
@pytest.mark.parametrize("all_labels_first", [True, False])
def test_sub_batches(tmp_path, form, all_labels_first):
    files = form()
    expected = everything(opened(write_folder(tmp_path / "whole", files)))
    del files["data_batch_2"]
    for number, (start, end) in enumerate([(0, 5), (5, 6), (6, 12)], 1):
        rows = ROWS[ENDS[1] + start : ENDS[1] + end]
        labels = LABELS[ENDS[1] + start : ENDS[1] + end].tolist()
        batch = {b"data": np.ascontiguousarray(rows.T) if form is colmajor else rows, b"labels": labels}
        if all_labels_first:
            batch[b"labels"] = LABELS[ENDS[1] : ENDS[2]].tolist()
            if number > 1:
                del batch[b"labels"]
        files[f"data_batch_2.{number}"] = python2_pickle(batch)
    path = write_folder(tmp_path / "parts", files)
    for one, other in zip(everything(opened(path)), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    (path / "data_batch_2.2").unlink()
    with pytest.raises(ConvnetError, match=r"the file data_batch_2\.2 is missing"):
        opened(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data_batch_2": None}, "the file data_batch_2 is missing"),
        ({"data_batch_1": None, "data_batch_2": None, "data_batch_3": None}, "the file data_batch_1 is missing"),
        (
            {"batches.meta": python2_pickle({b"label_names": CLASSES, b"num_vis": 13})},
            r"data_batch_1: expected numbers of shape \(13, cases\) or \(cases, 13\) .*; found float64 \(4, 16\)",
        ),
        ({"batches.meta": python2_pickle({b"label_names": CLASSES, b"num_vis": 0})}, "of at least 1 as 'num_vis'"),
        ({"batches.meta": python2_pickle({b"label_names": CLASSES, b"num_vis": b"x"})}, "of at least 1 as 'num_vis'"),
        ({"batches.meta": python2_pickle({b"num_vis": 16})}, "a list of names as 'label_names'; found nothing"),
        (
            {"batches.meta": python2_pickle({b"source_model": b"x", b"num_vis": 16, b"data_mean": np.zeros((15, 1))})},
            r"an array \(16, 1\) as 'data_mean'; found float64 \(15, 1\)",
        ),
        ({"data_batch_2": (np.full((4, 16), np.nan), [0] * 4)}, "data_batch_2: expected finite numbers as 'data'"),
        ({"data_batch_2": (np.zeros((4, 16), np.uint8), [0] * 4)}, r"a float64 array \(cases, 16\) .* found uint8"),
        ({"data_batch_2": (np.zeros((16, 4)), [0] * 4)}, r"a float64 array \(cases, 16\) .* found float64 \(16, 4\)"),
        ({"data_batch_2": (np.zeros((4, 16)), [0, 1, 2, 0])}, "data_batch_2: expected labels from 0 to 1; found 0 "),
        ({"data_batch_2": (np.zeros((4, 16)), [0, 2**40, 0, 0])}, "data_batch_2: expected 4 integers as 'labels'"),
        ({"data_batch_2": (np.zeros((4, 16)), np.array([[0, 0.5, 0, 0]]))}, "data_batch_2: expected 4 integers"),
        ({"data_batch_2": (np.zeros((4, 16)), np.zeros((2, 2), int))}, "data_batch_2: expected 4 integers"),
        ({"data_batch_2": (np.zeros((0, 16)), [])}, "data_batch_2: expected at least one case; found 0"),
        ({"data_batch_2": (np.zeros((4, 16)), None)}, "data_batch_2: expected 4 integers as 'labels'; found nothing"),
    ],
)
def test_numbered_batches_that_are_not_as_expected(tmp_path, changed, message):
    files = numbered(np.random.default_rng(6).normal(size=(12, 16)), TWO, False, label_names=CLASSES, num_vis=16)
    for name, content in changed.items():
        files[name] = content
        if isinstance(content, tuple):
            batch = {"data": content[0], "labels": content[1]}
            files[name] = pickle.dumps({key: part for key, part in batch.items() if part is not None})
    path = write_folder(tmp_path, {name: content for name, content in files.items() if content is not None})
    with pytest.raises(ConvnetError, match=message):
        opened(path)


@pytest.mark.parametrize("label", [1_000_000, -1])
def test_classes_without_names_have_their_limits(tmp_path, label):
    batch = {b"data": np.zeros((1, 2), np.float32), b"labels": np.array([[label]], np.float32)}
    meta = {b"source_model": b"x", b"num_vis": 2}
    path = write_folder(tmp_path, {"batches.meta": python2_pickle(meta), "data_batch_1": python2_pickle(batch)})
    with pytest.raises(ConvnetError, match=f"data_batch_1: expected labels from 0 to .*; found {label} to {label}"):
        opened(path)
