"""cuda-convnet2's batches of photographs: where each JPEG lies, found without reading it."""

import io
import os
import pickle
import struct

import numpy as np
import pytest
from PIL import Image

from convnet.data.augment import colour_shifts, normals
from convnet.data.convnet2 import is_convnet2, open_convnet2
from convnet.data.pickled_jpegs import unpickle_jpegs
from convnet.data.unpickle import Place
from convnet.errors import ConvnetError

from .makers import python2_pickle, random_images, write_folder

SIDE = 5
NAMES = [b"tench", b"goldfish", "lézard".encode(), b"hen"]
MEAN = np.random.default_rng(0).uniform(0, 255, (3 * SIDE * SIDE, 1)).astype(np.float32)
DEVIATIONS = np.array([19.7, 37.1, 121.8])
COLUMNS = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
META = {b"label_names": NAMES, b"num_vis": 3 * SIDE**2, b"batch_size": 3, b"data_mean": MEAN,
        b"color_pca": (DEVIATIONS, COLUMNS)}  # fmt: skip


def jpeg(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", quality=90)
    return stream.getvalue()


IMAGES = [random_images(1, 4 + case, 9, 3, seed=case)[0] for case in range(7)]
JPEGS = [jpeg(image) for image in IMAGES]
SMALL = b"\xff\xd8\xff\xe0 a small one"
LABELS = [[0], [3], [1], [2], [3], [0], [1]]


def protocol(number):
    return lambda value: pickle.dumps({key.decode(): item for key, item in value.items()}, number)


WRITERS = {"python 2": python2_pickle, **{f"python 3, {number}": protocol(number) for number in (3, 4, 5)}}


def batch(jpegs, labels, write=python2_pickle):
    return write({b"data": jpegs, b"labels": labels})


def files(write=python2_pickle, **changes):
    """Batches 0 and 1000, of two files and of one, and batch 1 that is a plain file; changes: other content."""
    made = {
        "batches.meta": write(META),
        "data_batch_0/data_batch_0.0": batch(JPEGS[:2], LABELS[:2], write),
        "data_batch_0/data_batch_0.1": batch(JPEGS[2:3], LABELS[2:3], write),
        "data_batch_1": batch(JPEGS[3:5], LABELS[3:5], write),
        "data_batch_1000/data_batch_1000.0": batch(JPEGS[5:], LABELS[5:], write),
    }
    return {name: content for name, content in {**made, **changes}.items() if content is not None}


def contents(records):
    """The bytes at the places that the records tell."""
    found = []
    for file, offset, size in zip(records.files, records.offsets, records.sizes, strict=True):
        with records.paths[file].open("rb") as opened:
            opened.seek(offset)
            found.append(opened.read(size))
    return found


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_jpeg_is_found(tmp_path, write):
    path = write_folder(tmp_path, files(write))
    assert is_convnet2(path)
    source = open_convnet2(path)
    assert (source.train_batches, source.test_batches) == ([0, 1], [1000])
    assert [source.cases(number) for number in (0, 1, 1000)] == [3, 2, 2]
    records = [source.records(number) for number in (0, 1, 1000)]
    assert [content for part in records for content in contents(part)] == JPEGS
    assert [labels for part in records for labels in part.labels] == list(map(tuple, LABELS))
    assert records[0].files.tolist() == [0, 0, 1]
    assert [path.name for path in records[0].paths] == ["data_batch_0.0", "data_batch_0.1"]
    for missing in (2, 999):
        with pytest.raises(KeyError):
            source.cases(missing)
        with pytest.raises(KeyError):
            source.records(missing)


def test_the_meta_file(tmp_path):
    source = open_convnet2(write_folder(tmp_path, files()))
    assert source.label_names == ["tench", "goldfish", "lézard", "hen"]
    assert (source.name, source.side, source.several_labels) == ("convnet2", SIDE, False)
    expected = [[[MEAN[(channel * SIDE + y) * SIDE + x, 0] for channel in range(3)] for x in range(SIDE)]
                for y in range(SIDE)]  # fmt: skip
    np.testing.assert_array_equal(source.mean, expected)
    assert source.mean.dtype == np.float32


def test_colour_axes_shift_colours_as_cuda_convnet2_does(tmp_path):
    """Its noise is vectors . (normal numbers * deviations), the vectors being columns."""
    source = open_convnet2(write_folder(tmp_path, files()))
    words = np.random.default_rng(2).integers(0, 2**32, (6, 4), np.uint32)
    expected = [COLUMNS @ (drawn * DEVIATIONS) for drawn in normals(words)[:, :3] * 0.1]
    np.testing.assert_allclose(colour_shifts(source.colour_axes, 0.1, words), expected, rtol=1e-12)
    plain = {key: value for key, value in META.items() if key != b"color_pca"}
    again = open_convnet2(write_folder(tmp_path, {"batches.meta": python2_pickle(plain)}))
    assert again.colour_axes is None


def test_small_jpegs_and_one_that_comes_twice(tmp_path):
    """Python 2 writes strings of less than 256 bytes in a form of their own, and keeps those it meets twice."""
    content = b"\x80\x02}(U\4data](U" + bytes([len(SMALL)]) + SMALL + b"q\x02h\x02eU\6labels](](K\1e](K\2eeu."
    assert pickle.loads(content, encoding="bytes") == {b"data": [SMALL] * 2, b"labels": [[1], [2]]}
    path = tmp_path / "data_batch_0.0"
    path.write_bytes(content)
    place = Place(content.index(SMALL), len(SMALL))
    assert unpickle_jpegs(path) == {"data": [place, place], "labels": [[1], [2]]}


def test_files_are_not_read(tmp_path):
    """Two JPEGs that the file system stores as holes: more than memory and 32 bits hold."""
    path, large = tmp_path / "data_batch_0.0", 2**36
    with path.open("wb") as file:
        file.write(b"\x80\x04}(U\4data](")
        places = []
        for _ in range(2):
            file.write(b"\x8e" + struct.pack("<Q", large))
            places.append(Place(file.tell(), large))
            file.write(b"\xff\xd8\xff")
            file.seek(large - 3, os.SEEK_CUR)
        file.write(b"eU\6labels](K\1K\2eu.")
    assert unpickle_jpegs(path) == {"data": places, "labels": [1, 2]}


@pytest.mark.parametrize(
    ("labels", "expected", "several"),
    [
        ([[0, 3], [2]], [(0, 3), (2,)], True),
        ([[], [1]], [(), (1,)], True),
        ([1, 3], [(1,), (3,)], False),
        (np.array([1, 3], np.uint8), [(1,), (3,)], False),
    ],
)
def test_labels_in_every_form(tmp_path, labels, expected, several):
    source = open_convnet2(write_folder(tmp_path, files(data_batch_1=batch(JPEGS[:2], labels))))
    assert source.records(1).labels == expected
    assert source.several_labels is several


def test_label_offset(tmp_path):
    changed = {name: content for name, content in files().items() if name == "data_batch_1"}
    meta = python2_pickle({**META, b"label_offset": -2})
    path = write_folder(tmp_path, {**changed, "batches.meta": meta, "data_batch_1": batch(JPEGS[:2], [[2], [5]])})
    assert open_convnet2(path).records(1).labels == [(0,), (3,)]
    for label in (1, 6):
        (path / "data_batch_1").write_bytes(batch(JPEGS[:2], [[2], [label]]))
        with pytest.raises(ConvnetError, match=rf"labels\[1\]: expected labels from 2 to 5; found {label}"):
            open_convnet2(path)


@pytest.mark.parametrize(
    ("numbers", "train", "test"),
    [
        ([1, 2, 6], [1, 2, 6], []),
        ([0, 1000], [0], [1000]),
        ([0, 999, 1000, 2001, 3000, 3001], [0, 999, 1000, 2001], [3000, 3001]),
        ([1003, 1004], [], [1003, 1004]),
    ],
)
def test_which_batches_are_for_testing(tmp_path, numbers, train, test):
    made = {f"data_batch_{number}": batch(JPEGS[:1], [[0]]) for number in numbers}
    source = open_convnet2(write_folder(tmp_path, {"batches.meta": python2_pickle(META), **made}))
    assert (source.train_batches, source.test_batches) == (train, test)


def test_which_folders_it_knows(tmp_path):
    for name, meta, known in (
        ("pca", META, True),
        ("type", {b"dp_type": b"image"}, True),
        ("cifar", {b"label_names": NAMES, b"num_vis": 3072, b"data_mean": MEAN}, False),
    ):
        path = write_folder(tmp_path / name, {"batches.meta": python2_pickle(meta), "data_batch_1": b""})
        assert is_convnet2(path) is known
    damaged = write_folder(tmp_path / "damaged", {"batches.meta": b"x", "data_batch_1": b""})
    assert not is_convnet2(damaged)
    assert is_convnet2(write_folder(damaged, {"data_batch_2/data_batch_2.0": b""}))
    assert not is_convnet2(tmp_path)
    assert not is_convnet2(tmp_path / "nothing")
    assert not is_convnet2(damaged / "batches.meta")


WHOLE = batch(JPEGS[:2], LABELS[:2])
ERRORS = {
    "damaged": (WHOLE[:-400], "data_batch_1: expected a pickle of arrays and plain values: "),
    "empty file": (b"", "data_batch_1: expected a pickle of arrays and plain values: it is cut off"),
    "no pickle": (b"\xff\xd8\xff", r"data_batch_1: expected a pickle .* unknown opcode b'\\xff' at byte 0"),
    "code": (b"\x80\x02cos\nsystem\n(U\1xtR.", r"data_batch_1: refused, .* found os\.system"),
    "an id of its own": (b"\x80\x02}U\4dataK\0Qs.", "data_batch_1: refused, .* found the persistent id 0"),
    "no data": (python2_pickle({b"labels": []}), "data_batch_1: expected a list of JPEGs as 'data'; found nothing"),
    "an array": (
        python2_pickle({b"data": np.zeros((4, 4), np.uint8), b"labels": []}),
        r"data_batch_1: expected a list of JPEGs as 'data'; found uint8 \(4, 4\)",
    ),
    "an empty JPEG": (batch([JPEGS[0], b""], [[0], [0]]), r"data_batch_1: data\[1\]: expected a JPEG; found 0 bytes"),
    "a PNG": (batch([b"\x89PNG\r\n"], [[0]]), r"data_batch_1: data\[0\]: expected a JPEG; found 6 bytes"),
    "text": (
        protocol(2)({b"data": JPEGS[:1], b"labels": [[0]]}),
        r"data_batch_1: data\[0\]: expected a JPEG; found one written as text, as Python 3 does before protocol 3",
    ),
    "no labels": (
        python2_pickle({b"data": JPEGS[:2]}),
        "data_batch_1: expected 2 lists of integers as 'labels'; found nothing",
    ),
    "fewer labels": (batch(JPEGS[:2], [[0]]), "data_batch_1: expected 2 lists of integers as 'labels'; found 1 items"),
    "labels of another kind": (batch(JPEGS[:1], [[b"cat"]]), r"labels\[0\]: expected integers; found \[b'cat'\]"),
    "truth values": (batch(JPEGS[:1], [True]), r"labels\[0\]: expected integers; found True"),
    "too large a label": (batch(JPEGS[:2], [[3], [1, 4]]), r"labels\[1\]: expected labels from 0 to 3; found 4"),
    "a label below 0": (batch(JPEGS[:1], [-1]), r"labels\[0\]: expected labels from 0 to 3; found -1"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_batches_that_are_not_as_expected(tmp_path, name):
    content, message = ERRORS[name]
    path = write_folder(tmp_path, files(data_batch_1=content))
    with pytest.raises(ConvnetError, match=message) as error:
        open_convnet2(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({b"label_names": None}, "a list of names as 'label_names'; found nothing"),
        ({b"label_names": [1, 2]}, "a list of names as 'label_names'; found 2 items"),
        ({b"data_mean": None}, r"numbers of shape \(3 \* side \* side, 1\) as 'data_mean'; found nothing"),
        ({b"data_mean": MEAN[:-1]}, r"as 'data_mean'; found float32 \(74, 1\)"),
        ({b"data_mean": MEAN * np.nan}, "as 'data_mean'; found float32"),
        ({b"data_mean": MEAN[:0]}, "as 'data_mean'; found float32"),
        ({b"num_vis": 76}, "75 as 'num_vis', the size of 'data_mean'; found 76"),
        ({b"label_offset": b"1"}, "an integer as 'label_offset'; found 1 bytes"),
        ({b"color_pca": None}, r"deviations \(3,\) and axes \(3, 3\) as 'color_pca'; found nothing"),
        ({b"color_pca": (DEVIATIONS, COLUMNS[:2])}, "as 'color_pca'; found 2 items"),
        ({b"color_pca": (DEVIATIONS * np.inf, COLUMNS)}, "as 'color_pca'; found 2 items"),
    ],
)
def test_meta_files_that_are_not_as_expected(tmp_path, changed, message):
    path = write_folder(tmp_path, {**files(), "batches.meta": python2_pickle({**META, **changed})})
    with pytest.raises(ConvnetError, match=f"{path}/batches.meta: expected .*{message}"):
        open_convnet2(path)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("batches.meta", "batches.meta: cannot be read"),
        ("data_batch_0/data_batch_0.0", r"data_batch_0: the file data_batch_0\.0 is missing"),
    ],
)
def test_missing_files(tmp_path, missing, message):
    path = write_folder(tmp_path, {name: content for name, content in files().items() if name != missing})
    with pytest.raises(ConvnetError, match=message):
        open_convnet2(path)


def test_folders_without_batches(tmp_path):
    path = write_folder(tmp_path, {"batches.meta": python2_pickle(META)})
    with pytest.raises(ConvnetError, match=r"expected folders or files data_batch_0, data_batch_1, \.\.; found none"):
        open_convnet2(path)
    (path / "data_batch_4").mkdir()
    with pytest.raises(ConvnetError, match=r"data_batch_4: the file data_batch_4\.0 is missing"):
        open_convnet2(path)


@pytest.mark.parametrize("write", [python2_pickle, protocol(4)])
def test_every_beginning_and_changed_bytes(tmp_path, write):
    """An error or a dict, never another exception."""
    whole, path = batch([SMALL, SMALL * 20], [[0], [1]], write), tmp_path / "f"
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ConvnetError, match=f"^{path}: "):
            unpickle_jpegs(path)
    drawn = np.random.default_rng(0)
    for _ in range(500):
        changed = bytearray(whole)
        changed[drawn.integers(len(whole))] = drawn.integers(256)
        if b"r" not in changed and b"j" not in changed:  # opcodes that take as much memory as the pickle says
            path.write_bytes(changed)
            try:
                unpickle_jpegs(path)
            except ConvnetError as error:
                assert str(error).startswith(f"{path}: ")  # noqa: PT017
