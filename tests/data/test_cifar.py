"""CIFAR in its three forms."""

import pickle

import numpy as np
import pytest

from convnet.data.provider import ProviderOptions
from convnet.data.registry import open_provider
from convnet.errors import ConvnetError

from .makers import python2_pickle, random_images, write_folder, write_tar

SIZES = [12, 12, 12, 12, 12, 7]
NAMES = [b"plane", b"car", b"bird"]
IMAGES = random_images(sum(SIZES), 32, 32, 3)
LABELS = np.random.default_rng(1).integers(0, 3, sum(SIZES))
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
    assert data.label_names == ["plane", "car", "bird"]
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
                                     {b"labels": [0] * 11}, {b"labels": [0] * 11 + [3]}, {b"labels": [0] * 11 + [-1]},
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
