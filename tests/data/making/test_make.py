"""What is written: the batches, in every form of source, for any number of workers."""

import io
import os
import pickle
import tarfile
import tracemalloc

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from convnet.data.making import MakeOptions, class_folders
from convnet.data.shards import open_shards
from convnet.errors import ConvnetError
from tests.data.makers import write_folder, write_tar, write_zip
from tests.data.photographs import NAMES, photograph_files

from .running import cases_of, files_of, flat, made, meta_of

SIZES = ((32, 41), (47, 32), (32, 32))  # which are kept as they are, so that each case can be told by its bytes
TRAIN = photograph_files(range(23), "train/", SIZES)
TEST = photograph_files(range(23, 35), "test/", SIZES)
BOTH = {**TRAIN, **TEST}
LABEL_NAMES = sorted(NAMES)


def expected(files):
    """All cases, sorted."""
    return sorted((content, (LABEL_NAMES.index(name.split("/")[-2]),)) for name, content in files.items())


def written(tmp_path, form, files):
    if form == "folder":
        return write_folder(tmp_path / "photographs", files)
    return (write_zip if form == "zip" else write_tar)(tmp_path / f"photographs.{form}", files)


@pytest.mark.parametrize("form", ["folder", "zip", "tar", "tar.gz"])
def test_all_images_are_there_with_their_labels(tmp_path, form):
    result = made(written(tmp_path, form, BOTH), tmp_path / "made")
    train, test = cases_of(tmp_path / "made")
    assert ([*map(len, train)], [*map(len, test)]) == ([10, 10, 3], [10, 2]) == (result.train, result.test)
    assert (flat(train), flat(test)) == (expected(TRAIN), expected(TEST))
    assert (result.classes, result.bad, result.report) == (3, 0, None)
    names = {"batches.json", "index.npz", "statistics.npz", *(f"data_batch_{number}.tar" for number in range(1, 6))}
    assert set(files_of(tmp_path / "made")) == names
    assert {path.name for path in (tmp_path / "made").iterdir()} == names  # no hidden folder


def test_the_meta_file(tmp_path):
    made(write_folder(tmp_path / "photographs", BOTH), tmp_path / "made", quality=80, seed=5)
    counts = {
        part: [sum(name in file for file in files) for name in LABEL_NAMES]
        for part, files in (("train", TRAIN), ("test", TEST))
    }
    assert meta_of(tmp_path / "made") == {
        "format": 1,
        "description": "photographs of photographs",
        "size": 32,
        "square": False,
        "quality": 80,
        "seed": 5,
        "label_names": LABEL_NAMES,
        "train": [10, 10, 3],
        "test": [10, 2],
        "class_counts": counts,
        "several_labels": False,
        "bad": 0,
        "source": "photographs",
    }


def test_the_tar_files_are_plain(tmp_path):
    """Nothing in them that another run would write otherwise, and the places in the index are right."""
    made(write_folder(tmp_path / "photographs", BOTH), tmp_path / "made")
    index = np.load(tmp_path / "made" / "index.npz")
    case = 0
    for number, count in enumerate([10, 10, 3, 10, 2], 1):
        path = tmp_path / "made" / f"data_batch_{number}.tar"
        content = path.read_bytes()
        with tarfile.open(path) as archive:
            entries = archive.getmembers()
        assert [entry.name for entry in entries] == [f"{n:08}.{kind}" for n in range(count) for kind in ("jpg", "cls")]
        for entry in entries:
            assert (entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) == (0, 0, 0, "", "")
            assert content[entry.offset + 257 : entry.offset + 265] == b"ustar\x0000"
        for entry in entries[::2]:
            place = (index["offsets"][case], index["sizes"][case])
            assert place == (entry.offset_data, entry.size)
            image = Image.open(io.BytesIO(content[place[0] : place[0] + place[1]]))
            assert (image.height, image.width) == tuple(index["shapes"][case])
            case += 1
    assert case == len(index["sizes"]) == len(index["label_ends"])


def test_the_statistics(tmp_path):
    """Against loops in float64 over what is stored."""
    files = photograph_files(range(23), "train/") | photograph_files(range(23, 30), "test/")
    made(write_folder(tmp_path / "photographs", files), tmp_path / "made", size=31)
    squares = []
    for batch in cases_of(tmp_path / "made")[0]:
        for content, _ in batch:
            image = simplejpeg.decode_jpeg(content).astype(float)
            y, x = (image.shape[0] - 31) // 2, (image.shape[1] - 31) // 2
            squares.append(image[y : y + 31, x : x + 31])
    assert len(squares) == 23
    found = np.load(tmp_path / "made" / "statistics.npz")
    np.testing.assert_allclose(found["mean"], np.mean(squares, axis=0), rtol=1e-6)
    assert (found["mean"].dtype, found["covariance"].dtype) == (np.float32, np.float64)
    colours = np.reshape(squares, (-1, 3))
    np.testing.assert_allclose(found["covariance"], np.cov(colours.T, bias=True), rtol=1e-9)


def test_the_bytes_are_the_same_for_any_number_of_workers(tmp_path):
    files = {**photograph_files(range(31)), "cat/bad.jpg": b"", "temple/bad.png": b"no image"}
    source = write_folder(tmp_path / "photographs", files)
    for workers in (1, 2, 5):
        made(source, tmp_path / str(workers), workers=workers)
    first = files_of(tmp_path / "1")
    assert "bad-images.txt" in first
    assert first == files_of(tmp_path / "2") == files_of(tmp_path / "5")


def test_the_order_follows_the_seed(tmp_path):
    source = write_folder(tmp_path / "photographs", BOTH)
    orders = []
    for seed in (0, 1, 2**33):
        made(source, tmp_path / str(seed), seed=seed)
        train, test = cases_of(tmp_path / str(seed))
        assert (flat(train), flat(test)) == (expected(TRAIN), expected(TEST))
        orders += [[case for batch in part for case in batch] for part in (train, test)]
    assert all(order != expected(files) for order, files in zip(orders, [TRAIN, TEST] * 3, strict=True))
    assert len({str(order) for order in orders}) == 6
    assert all(len({labels for _, labels in order[:10]}) > 1 for order in orders)  # not one class after the other


@pytest.mark.parametrize(("share", "tested"), [(None, [2, 2, 2]), (0.4, [5, 5, 4])])
def test_a_share_of_each_class_is_tested_the_same_in_every_form(tmp_path, share, tested):
    files = photograph_files(range(35), "", SIZES)
    paths = [written(tmp_path, "folder", files), written(tmp_path, "tar", dict(reversed(files.items())))]
    sets = []
    for number, path in enumerate(paths):
        made(path, tmp_path / f"made{number}", test_share=share, seed=number)
        train, test = map(flat, cases_of(tmp_path / f"made{number}"))
        assert sorted(train + test) == expected(files)
        sets.append(test)
    assert sets[0] == sets[1]
    assert np.bincount([label for _, (label,) in sets[0]]).tolist() == tested


def test_a_test_set_alone(tmp_path):
    made(write_folder(tmp_path / "photographs", TEST), tmp_path / "made")
    train, test = cases_of(tmp_path / "made")
    assert (train, flat(test)) == ([], expected(TEST))
    data = open_shards(tmp_path / "made")
    assert (data.train_batches, data.test_batches) == ([], [1, 2])
    assert not data.mean.any()


@pytest.mark.parametrize("square", [False, True])
def test_sizes(tmp_path, square):
    made(write_folder(tmp_path / "photographs", photograph_files(range(12))), tmp_path / "made", square=square, size=30)
    shapes = {tuple(shape) for shape in np.load(tmp_path / "made" / "index.npz")["shapes"].tolist()}
    assert shapes == ({(30, 30)} if square else {(30, 40), (40, 30), (30, 30), (36, 30)})


def test_links_are_followed_but_not_in_circles(tmp_path):
    source = write_folder(tmp_path / "photographs", TRAIN)
    outside = write_folder(tmp_path / "elsewhere", {"x.jpg": next(iter(TEST.values()))})
    (source / "train" / "cat" / "up").symlink_to(source)
    (source / "train" / "cat" / "self").symlink_to(".")
    (source / "around").symlink_to(tmp_path)
    (source / "train" / "cat" / "other").symlink_to(outside)
    (source / "train" / "cat" / "broken.jpg").symlink_to(source / "nothing")
    result = made(source, tmp_path / "made")
    assert sum(result.train + result.test) == 24
    assert (tmp_path / "made" / "bad-images.txt").read_text().startswith("train/cat/broken.jpg\tcannot be read: ")


def test_progress_counts_every_image(tmp_path):
    seen = []
    made(write_folder(tmp_path / "photographs", BOTH), tmp_path / "made", lambda *step: seen.append(step))
    for stage in ("reading images", "writing batches"):
        counts = [step[1:] for step in seen if step[0] == stage]
        assert {total for _, total in counts} == {35}
        assert sorted({done for done, _ in counts}) == sorted(range(36) if stage == "writing batches" else range(1, 36))
        assert counts == sorted(counts)


def test_the_source_is_read_once(tmp_path, monkeypatch):
    reads = []
    plain = class_folders.read_file
    monkeypatch.setattr(class_folders, "read_file", lambda path: reads.append(path) or plain(path))
    made(write_folder(tmp_path / "photographs", BOTH), tmp_path / "made")
    assert len(reads) == len(set(reads)) == len(BOTH)


def test_batches_are_made_into_others(tmp_path):
    made(write_folder(tmp_path / "photographs", BOTH), tmp_path / "made")
    made(tmp_path / "made", tmp_path / "again", batch_size=7, seed=9)
    train, test = cases_of(tmp_path / "again")
    assert (flat(train), flat(test)) == (expected(TRAIN), expected(TEST))
    assert [*map(len, train)] == [7, 7, 7, 2]
    assert meta_of(tmp_path / "again")["label_names"] == LABEL_NAMES
    for name in ("mean", "covariance"):
        first, second = (np.load(tmp_path / folder / "statistics.npz")[name] for folder in ("made", "again"))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"size": 0}, "size: expected 1 .. 4096, found 0"),
        ({"size": 5000}, "size: expected 1 .. 4096, found 5000"),
        ({"quality": 101}, "quality: expected 1 .. 100, found 101"),
        ({"seed": -1}, "seed: expected 0 .. "),
        ({"batch_size": 0}, "batch size: expected 1 .. "),
        ({"max_bad": -1}, "max bad: expected at least 0, found -1"),
        ({"workers": 0}, "workers: expected 1 .. 1024, found 0"),
        ({"workers": 1025}, "workers: expected 1 .. 1024, found 1025"),
    ],
)
def test_options_out_of_range(options, text):
    with pytest.raises(ConvnetError, match=text):
        MakeOptions(**options)


def test_the_threads_are_the_cores_that_may_be_used(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 5, 9}, raising=False)
    assert (MakeOptions().threads, MakeOptions(workers=7).threads) == (3, 7)


def test_a_stop_loses_a_few_hundred_images_at_most():
    assert MakeOptions().segment <= 256


@pytest.mark.parametrize("inside", ["", "made", "train/cat/made", "train/../made"])
def test_batches_inside_the_source_are_refused(tmp_path, inside):
    """Once there, they would be a part of it, and the work could not go on."""
    source = write_folder(tmp_path / "photographs", BOTH)
    (tmp_path / "link").symlink_to(source)
    before = files_of(source)
    for target in (source / inside, tmp_path / "link" / inside):
        with pytest.raises(ConvnetError) as error:
            made(source, target)
        assert str(error.value) == f"{target}: expected a folder outside {source}, where the photographs are"
    assert files_of(source) == before
    assert not (source / "made").exists()
    made(source, tmp_path / "photographs made")


def test_batches_beside_what_stays_the_same(tmp_path):
    """A table, an archive and data batches do not change with what lies beside or below them."""
    made(written(tmp_path, "tar", BOTH), tmp_path / "made")
    made(tmp_path / "made", tmp_path / "made" / "again")
    assert flat(cases_of(tmp_path / "made" / "again")[0]) == expected(TRAIN)


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_batches(tmp_path):
    """Many data batches take less than two images more, as sums of int64, than one."""
    source = write_folder(tmp_path / "photographs", photograph_files(range(24)))
    made(source, tmp_path / "first")  # what is set up once
    peaks = [
        peak_of(lambda size=size: made(source, tmp_path / str(size), size=100, batch_size=size, workers=1))
        for size in (24, 2)
    ]
    assert peaks[1] - peaks[0] < 2 * 8 * 3 * 100 * 100


def test_what_is_kept_of_a_batch_until_the_end(tmp_path):
    """The exact sums of 32 bits over training images; of test images only where they lie."""
    source = write_folder(tmp_path / "photographs", BOTH)

    def progress(stage, done, total):
        if (stage, done) == ("writing batches", 34):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(source, tmp_path / "made", progress)
    records = [dict(np.load(tmp_path / "made" / ".make" / f"batch_{number}.npz")) for number in range(1, 5)]
    assert [sorted(record) for record in records] == [["offsets", "pixels", "products"]] * 3 + [["offsets"]]
    assert {record["pixels"].dtype for record in records[:3]} == {np.dtype(np.uint32)}
    made(source, tmp_path / "made")
    made(source, tmp_path / "one", batch_size=100)
    for name in ("mean", "covariance"):
        first, second = (np.load(tmp_path / folder / "statistics.npz")[name] for folder in ("made", "one"))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("nothing", {}, "nothing: expected photographs, but there is no such file or folder"),
        ("notes.txt", {}, "notes.txt: expected a folder or a tar or zip archive"),
        (".", {"form": "videos"}, "form: expected one of batches, ilsvrc2012, csv, folders; found 'videos'"),
        (".", {"test_share": 1.0}, "test share: expected a number above 0 and below 1, found 1.0"),
        (".", {}, "holds no images"),
    ],
)
def test_what_is_no_source(tmp_path, name, options, text):
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(ConvnetError, match=text):
        made(tmp_path / name, tmp_path / "made", **options)
    assert not (tmp_path / "made").exists()


def test_a_share_beside_a_test_set(tmp_path):
    with pytest.raises(ConvnetError, match="a test share was given, but the data has a test set of its own"):
        made(write_folder(tmp_path / "photographs", BOTH), tmp_path / "made", test_share=0.5)


def test_a_cut_off_archive(tmp_path):
    for form in ("tar", "tar.gz"):
        path = written(tmp_path, form, BOTH)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        with pytest.raises(ConvnetError, match=f"{path}: cannot be read"):
            made(path, tmp_path / f"made from {form}")


def test_batches_of_cuda_convnet2_are_made_into_ours(tmp_path):
    images = list(BOTH.values())
    for number, cases in ((0, range(23)), (1000, range(23, 35))):
        batch = {"data": [images[case] for case in cases], "labels": [[case % 2, 2] for case in cases]}
        part = {f"data_batch_{number}/data_batch_{number}.0": pickle.dumps(batch, protocol=3)}
        write_folder(tmp_path / "original", part)
    meta = {"label_names": ["x", "y", "z"], "data_mean": np.zeros((3 * 32 * 32, 1), np.float32), "dp_type": "image"}
    (tmp_path / "original" / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    made(tmp_path / "original", tmp_path / "made")
    train, test = cases_of(tmp_path / "made")
    assert flat(train) == sorted((images[case], (case % 2, 2)) for case in range(23))
    assert flat(test) == sorted((images[case], (case % 2, 2)) for case in range(23, 35))
    assert meta_of(tmp_path / "made")["label_names"] == ["x", "y", "z"]
