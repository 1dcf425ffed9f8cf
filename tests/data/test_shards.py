"""Data batches as `convnet data make` writes them, read again."""

import contextlib
import json

import numpy as np
import pytest

from convnet.data.augment import colour_covariance
from convnet.data.convnet2 import is_convnet2
from convnet.data.jpeg import JpegDecoder
from convnet.data.shards import check_finished, is_shards, open_shards
from convnet.errors import ConvnetError

from .makers import write_folder
from .making.running import cases_of, made
from .photographs import NAMES, photograph_files

FILES = {**photograph_files(range(23), "train/"), **photograph_files(range(23, 35), "test/")}


@pytest.fixture
def folder(tmp_path):
    made(write_folder(tmp_path / "photographs", {**FILES, "test/cat/x.jpg": b""}), tmp_path / "made")
    return tmp_path / "made"


def read(data, batchnum):
    """The cases (jpeg, labels) of a batch, by its records."""
    records = data.records(batchnum)
    cases = []
    for case, labels in enumerate(records.labels):
        content = records.paths[records.files[case]].read_bytes()
        begin = int(records.offsets[case])
        cases.append((content[begin : begin + int(records.sizes[case])], labels))
    return cases


def test_the_records_are_the_members_of_the_tar_files(folder):
    data = open_shards(folder)
    assert (data.name, data.description) == ("shards", "photographs of photographs")
    assert (data.train_batches, data.test_batches, data.label_names) == ([1, 2, 3], [4, 5], sorted(NAMES))
    assert [data.cases(number) for number in range(1, 6)] == [10, 10, 3, 10, 2]
    train, test = cases_of(folder)
    assert [read(data, number) for number in range(1, 6)] == train + test
    assert not data.several_labels


@pytest.mark.parametrize(("sizes", "alike"), [(((32, 32),), True), (((32, 32), (32, 33)), False)])
def test_whether_all_images_are_squares(tmp_path, sizes, alike):
    made(write_folder(tmp_path / "photographs", photograph_files(range(13), "", sizes)), tmp_path / "made")
    assert open_shards(tmp_path / "made").alike is alike
    made(tmp_path / "made", tmp_path / "squares", square=True)
    assert open_shards(tmp_path / "squares").alike


def test_the_statistics(folder):
    data = open_shards(folder)
    assert (data.side, data.mean.shape, data.mean.dtype) == (32, (32, 32, 3), np.float32)
    np.testing.assert_array_equal(data.mean, np.load(folder / "statistics.npz")["mean"])
    squares = []
    for number in data.train_batches:
        for content, _ in read(data, number):
            image = JpegDecoder().decode(content, "x")
            y, x = (image.shape[0] - 32) // 2, (image.shape[1] - 32) // 2
            squares.append(image[y : y + 32, x : x + 32].copy())
    covariance = colour_covariance(np.array(squares))
    np.testing.assert_allclose(data.colour_axes.T @ data.colour_axes, covariance, rtol=1e-9)
    lengths = data.colour_axes @ data.colour_axes.T
    np.testing.assert_allclose(lengths, np.diag(np.diag(lengths)), atol=1e-6)  # axes at right angles


def test_several_labels_and_none(tmp_path):
    paths = list(write_folder(tmp_path, photograph_files(range(4))).glob("*/*.jpg"))
    labels = ["3 1", "0", "2", "1 0 2"]
    (tmp_path / "t.csv").write_text(
        "".join(f"{path},{label},train\n" for path, label in zip(paths, labels, strict=True))
    )
    made(tmp_path / "t.csv", tmp_path / "made")
    data = open_shards(tmp_path / "made")
    assert data.several_labels
    assert sorted(data.records(1).labels) == [(0,), (1, 0, 2), (2,), (3, 1)]
    assert [case[1] for case in cases_of(tmp_path / "made")[0][0]] == data.records(1).labels


@pytest.mark.parametrize("number", [0, 6, -1])
def test_a_batch_that_is_not_there(folder, number):
    data = open_shards(folder)
    for method in (data.cases, data.records):
        with pytest.raises(KeyError):
            method(number)


def test_what_are_shards(folder, tmp_path):
    assert is_shards(folder)
    assert not is_convnet2(folder)
    assert not is_shards(tmp_path)
    assert not is_shards(folder / "batches.json")
    (folder / "batches.json").unlink()
    assert not is_shards(folder)


def test_a_tar_file_that_is_cut_off_or_missing(folder):
    """It is told when the data is opened, and where it changes later, when it is used."""
    data = open_shards(folder)
    path = folder / "data_batch_4.tar"
    records = data.records(4)
    needed = int((records.offsets + records.sizes).max())
    whole = path.read_bytes()
    path.write_bytes(whole[:needed])
    open_shards(folder)
    for change, found in ((lambda: path.write_bytes(whole[: needed - 1]), needed - 1), (path.unlink, "no such file")):
        change()
        for read_again in (lambda: data.records(4), lambda: open_shards(folder)):
            with pytest.raises(ConvnetError) as error:
                read_again()
            assert str(error.value) == f"{path}: expected at least {needed} bytes, as index.npz says; found {found}"
    assert len(data.records(1)) == 10


def test_a_batch_without_cases_has_a_file_as_well(folder):
    path = folder / "batches.json"
    meta = json.loads(path.read_text())
    path.write_text(json.dumps(meta | {"test": [*meta["test"], 0]}))
    with pytest.raises(ConvnetError, match=r"data_batch_6.tar: expected at least 0 bytes, .* found no such file"):
        open_shards(folder)


def test_what_is_not_finished(folder, tmp_path):
    for path in (folder, tmp_path, tmp_path / "nothing", folder / "batches.json"):
        check_finished(path)
    (folder / ".make").mkdir()
    (folder / ".make" / "plan.json").write_text("{}")
    check_finished(folder)  # batches.json comes last: only the work's folder has not been removed
    (folder / "batches.json").unlink()
    with pytest.raises(ConvnetError) as error:
        check_finished(folder)
    assert str(error.value) == f"{folder}: convnet data make has not finished here; the same command goes on"
    (folder / ".make" / "plan.json").unlink()
    with pytest.raises(ConvnetError) as error:
        check_finished(folder)
    assert str(error.value) == f"{folder}: expected batches.json beside data_batch_1.tar, found no such file"


def test_work_that_was_stopped_is_not_finished(tmp_path):
    def stop(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(write_folder(tmp_path / "photographs", FILES), tmp_path / "made", stop)
    with pytest.raises(ConvnetError, match="has not finished here"):
        check_finished(tmp_path / "made")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": 2}, "expected data batches of format 1, found 2"),
        ({"format": None}, "expected a whole number as format, found None"),
        ({"size": -1}, "expected a whole number as size, found -1"),
        (
            {"size": 31},
            r"statistics.npz: expected mean to be numbers of shape \(31, 31, 3\), found float32",
        ),
        ({"size": True}, "expected a whole number as size, found True"),
        ({"label_names": []}, r"expected a list of texts as label_names, found \[\]"),
        ({"label_names": ["a", 1]}, "expected a list of texts as label_names"),
        ({"label_names": ["a", "b"]}, r"index.npz: expected labels of 0 .. 1, as batches.json says; found 0 .. 2"),
        (
            {"train": [10, 10, 4]},
            r"index.npz: expected offsets to be numbers of shape \(36,\), found int64 of ",
        ),
        ({"train": 3}, "expected a list of whole numbers as train, found 3"),
        ({"description": 3}, "expected a text as description, found 3"),
    ],
)
def test_a_meta_file_that_does_not_fit(folder, change, text):
    path = folder / "batches.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConvnetError, match=text):
        open_shards(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_meta_file_that_is_damaged(folder, content):
    (folder / "batches.json").write_bytes(content)
    with pytest.raises(ConvnetError, match=r"batches\.json: expected "):
        open_shards(folder)


@pytest.mark.parametrize("name", ["index.npz", "statistics.npz"])
def test_damaged_arrays(folder, name):
    path = folder / name
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 20)):
        path.write_bytes(whole[:length])
        with pytest.raises(ConvnetError, match=f"{path}: expected arrays"):
            open_shards(folder)
    random = np.random.default_rng(0)
    for place in random.integers(0, len(whole), 60):  # may be harmless, but is never another error
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with contextlib.suppress(ConvnetError):
            open_shards(folder)
    path.unlink()
    with pytest.raises(ConvnetError, match=f"{path}: expected arrays"):
        open_shards(folder)


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("label_ends", lambda a: a[::-1], "expected ascending label_ends"),
        ("label_ends", lambda a: a + 1, "expected ascending label_ends"),
        ("offsets", lambda a: -a, "no negative numbers"),
        ("labels", lambda a: a + 1, "expected labels of 0 .. 2, as batches.json says; found 1 .. 3"),
        ("labels", lambda a: a - 1, "expected labels of 0 .. 2, as batches.json says; found -1 .. 1"),
        ("labels", lambda a: a.astype(str), "expected labels to be numbers"),
        ("sizes", lambda a: a[:-1], "expected sizes to be numbers"),
        ("offsets", lambda a: a * np.nan, "expected finite numbers as offsets"),
    ],
)
def test_an_index_that_does_not_fit(folder, name, change, text):
    path = folder / "index.npz"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, name: change(arrays[name])})
    with pytest.raises(ConvnetError, match=f"{path}: .*{text}"):
        open_shards(folder)


@pytest.mark.parametrize("name", ["offsets", "sizes"])
@pytest.mark.parametrize("value", [10**6, 2**63 - 1])  # the latter makes the sum of both negative
def test_places_beyond_the_end_of_a_file(folder, name, value):
    path = folder / "index.npz"
    with np.load(path) as file:
        arrays = dict(file)
    arrays[name][12] = value
    np.savez(path, **arrays)
    with pytest.raises(ConvnetError, match=rf"data_batch_2\.tar: expected at least {str(value)[:1]}[0-9]+ bytes"):
        open_shards(folder)
