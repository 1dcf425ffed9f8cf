"""A compressed archive is gone through once, and becomes what the same archive becomes when it is not compressed."""

import os
import tarfile

import pytest

from convnet.data.making import compressed_folders
from convnet.errors import ConvnetError
from tests.data.makers import write_tar
from tests.data.photographs import photograph_files

from .running import files_of, made, meta_of

SETS = {**photograph_files(range(23), "train/"), **photograph_files(range(23, 35), "test/")}
NO_SETS = photograph_files(range(35))
BESIDE = {**photograph_files(range(35, 41), "unlabelled/"), "unlabelled/bad.jpg": b"", "notes/read.me": b"words"}
BAD = {"train/cat/bad.jpg": b"", "test/temple/bad.jpg": b"no image"}


def archives(tmp_path, files, form="gz", folders=()):
    """The same archive plain and compressed, under one name, which data batches tell."""
    paths = []
    for name in ("plain", "compressed"):
        (tmp_path / name).mkdir()
        paths.append(tmp_path / name / f"photographs.tar.{form}")
    write_tar(paths[1], files, folders)
    plain = write_tar(paths[0].with_name("photographs.tar"), files, folders)
    return plain.rename(paths[0]), paths[1]


@pytest.mark.parametrize("form", ["gz", "xz", "bz2"])
@pytest.mark.parametrize(
    ("files", "share"),
    [
        (SETS, None),
        (NO_SETS, None),
        (NO_SETS, 0.4),
        (dict(reversed(NO_SETS.items())), None),
        ({f"photographs/{name}": content for name, content in NO_SETS.items()}, None),
        ({**BESIDE, **SETS, **BAD}, None),
        ({**BAD, **SETS, **BESIDE}, None),
    ],
    ids=["sets", "no sets", "share", "reversed", "inside", "beside, first", "beside, last"],
)
def test_the_bytes_are_those_of_a_plain_archive(tmp_path, files, share, form):
    results = []
    for name, path in zip(("plain", "compressed"), archives(tmp_path, files, form), strict=True):
        result = made(path, tmp_path / f"made {name}", test_share=share)
        results.append((result.classes, result.empty, result.bad, files_of(tmp_path / f"made {name}")))
    assert results[0] == results[1]
    assert results[0][2] == len(set(files) & set(BAD))
    assert sum(meta_of(tmp_path / "made compressed")["train"]) < 35


def test_it_is_gone_through_once(tmp_path, monkeypatch):
    steps, step = [], tarfile.TarFile.next
    monkeypatch.setattr(tarfile.TarFile, "next", lambda archive: steps.append(archive) or step(archive))
    path = write_tar(tmp_path / "photographs.tar.gz", SETS)
    steps.clear()
    made(path, tmp_path / "made")
    # Before, each way in which it may be compressed is tried at its beginning.
    assert len(SETS) < len(steps) < len(SETS) + 10


@pytest.mark.parametrize("count", [3, 14, 21, 36, 41, 50, 73])
def test_work_that_was_stopped_goes_on(tmp_path, count):
    path = write_tar(tmp_path / "photographs.tar.gz", {**BESIDE, **SETS, **BAD})
    made(path, tmp_path / "whole")
    left = count

    def progress(stage, done, total):
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(path, tmp_path / "made", progress)
    made(path, tmp_path / "made", workers=1)
    assert files_of(tmp_path / "made") == files_of(tmp_path / "whole")


def test_folders_are_remembered_when_all_is_read(tmp_path, monkeypatch):
    """Stopped where the folders are told: the next process does not read the archive, and finds the same mistake."""
    path = write_tar(tmp_path / "photographs.tar.gz", SETS, ["train", "train/cat", "train/dog", "test", "test/dog"])
    message = f"{path}: class folder train/dog holds no images"
    with pytest.raises(ConvnetError, match=message):
        made(path, tmp_path / "made")
    monkeypatch.setattr(compressed_folders.CompressedFolders, "items", None)
    with pytest.raises(ConvnetError, match=message):
        made(path, tmp_path / "made")


@pytest.mark.parametrize(
    ("files", "share", "text"),
    [
        ({"notes.txt": b"words"}, None, "holds no images; expected train/<class>/<image>"),
        ({"one.jpg": b"", **NO_SETS}, None, "one.jpg is not in a class folder"),
        ({name: content for name, content in SETS.items() if "test/cat" not in name}, None, "folder test/cat is miss"),
        (SETS, 0.5, "a test share was given, but the data has a test set of its own"),
        (dict.fromkeys(NO_SETS, b""), None, "expected images, found 35 that cannot be used, of which the first is"),
    ],
)
def test_mistakes(tmp_path, files, share, text):
    path = write_tar(tmp_path / "photographs.tar.gz", files)
    with pytest.raises(ConvnetError, match=text):
        made(path, tmp_path / "made", test_share=share)


def test_what_is_no_archive_is_told_at_once(tmp_path):
    path = tmp_path / "photographs.tar.xz"
    path.write_bytes(b"no archive")
    with pytest.raises(ConvnetError, match=f"{path}: cannot be read"):
        made(path, tmp_path / "made")
    assert os.listdir(tmp_path) == [path.name]


def test_more_bad_images_than_may_be(tmp_path):
    path = write_tar(tmp_path / "photographs.tar.gz", {**SETS, **BAD})
    with pytest.raises(ConvnetError, match="more than 1 image cannot be used"):
        made(path, tmp_path / "made", max_bad=1)
    assert len((tmp_path / "made" / "bad-images.txt").read_text().splitlines()) == 2
