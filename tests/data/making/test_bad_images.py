"""Images that cannot be used are left out and named; too many of them end the work."""

import os

import pytest

import convnet.data.making.class_folders as folders
from convnet.errors import ConvnetError
from tests.data.makers import write_folder, write_tar, write_zip
from tests.data.photographs import jpeg, photograph, photograph_files

from .running import cases_of, files_of, flat, made, meta_of
from .test_encode import png_of_size

GOOD = photograph_files(range(14))
BAD = {
    "cat/broken.jpg": jpeg(photograph(0))[:-100],
    "cat/empty.jpg": b"",
    "coffee/huge.png": png_of_size(30000, 30000),
    "coffee/large.png": png_of_size(11000, 11000),  # Pillow warns of it
    "temple/words.jpg": b"no image",
}


def report_of(folder):
    return dict(line.split("\t") for line in (folder / "bad-images.txt").read_text().splitlines())


@pytest.mark.parametrize("form", ["folder", "tar", "zip"])
def test_bad_images_are_left_out_and_named(tmp_path, form):
    write = {"folder": write_folder, "tar": write_tar, "zip": write_zip}[form]
    name = "photographs" if form == "folder" else f"photographs.{form}"
    result = made(write(tmp_path / name, {**GOOD, **BAD}), tmp_path / "made", test_share=0.01)
    made(write(tmp_path / f"good {name}", GOOD), tmp_path / "good", test_share=0.01)
    report = report_of(tmp_path / "made")
    assert set(report) == set(BAD)
    assert report["cat/broken.jpg"].startswith("expected an image, but it cannot be decoded: image file is truncated")
    assert "decompression bomb" in report["coffee/huge.png"]
    assert (result.bad, result.report, meta_of(tmp_path / "made")["bad"]) == (
        5,
        tmp_path / "made" / "bad-images.txt",
        5,
    )
    both = [sorted(case for part in cases_of(tmp_path / name) for case in flat(part)) for name in ("made", "good")]
    assert both[0] == both[1]
    assert len(both[0]) == 14


def test_what_is_no_plain_file(tmp_path):
    """Among them a pipe, which one could wait for without end."""
    source = write_folder(tmp_path / "photographs", GOOD)
    os.mkfifo(source / "cat" / "pipe.jpg")
    table = "".join(
        f"{name},{name.split('/')[0]}\n" for name in [*GOOD, "cat/pipe.jpg", "cat", "nowhere.jpg", "cat/a\0b.jpg"]
    )
    (source / "table.csv").write_text(table)
    made(source, tmp_path / "folders")
    assert report_of(tmp_path / "folders") == {"cat/pipe.jpg": "cannot be read: not a plain file"}
    made(source / "table.csv", tmp_path / "table")
    report = report_of(tmp_path / "table")
    assert set(report) == {"cat/pipe.jpg", "cat", "nowhere.jpg", "cat/a\0b.jpg"}
    assert "No such file" in report["nowhere.jpg"]


def test_an_unreadable_file(tmp_path, monkeypatch):
    """Root may read everything, so for root the refusal is made up."""
    source = write_folder(tmp_path / "photographs", GOOD)
    secret = source / "cat" / "secret.jpg"
    secret.write_bytes(jpeg(photograph(3)))
    secret.chmod(0)
    plain = folders.read_file

    def read(path):
        if path == secret and not os.geteuid():
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(folders, "read_file", read)
    made(source, tmp_path / "made")
    assert report_of(tmp_path / "made") == {
        "cat/secret.jpg": f"cannot be read: [Errno 13] Permission denied: '{secret}'"
    }


def test_more_bad_images_than_allowed(tmp_path):
    source = write_folder(tmp_path / "photographs", {**GOOD, **BAD})
    with pytest.raises(ConvnetError) as error:
        made(source, tmp_path / "made", max_bad=3)
    report = tmp_path / "made" / "bad-images.txt"
    assert str(error.value) == f"more than 3 images cannot be used (--max-bad); {report} names them"
    assert set(report_of(tmp_path / "made")) == set(sorted(BAD)[:4])
    assert not (tmp_path / "made" / "batches.json").exists()
    with pytest.raises(ConvnetError, match="more than 4 images cannot be used"):
        made(source, tmp_path / "made", max_bad=4)
    with pytest.raises(ConvnetError, match="more than 1 image cannot be used"):
        made(source, tmp_path / "made", max_bad=1)
    with pytest.raises(ConvnetError, match="more than 0 images cannot be used"):  # those of finished segments count
        made(source, tmp_path / "made", max_bad=0)
    made(source, tmp_path / "made", max_bad=5)
    made(source, tmp_path / "undisturbed")
    assert files_of(tmp_path / "made") == files_of(tmp_path / "undisturbed")


def test_images_that_were_mended(tmp_path):
    """The report of a work that ended because of bad images does not stay when there are none any more."""
    source = write_folder(tmp_path / "photographs", {**GOOD, "cat/000.jpg": b""})
    with pytest.raises(ConvnetError, match="more than 0"):
        made(source, tmp_path / "made", max_bad=0)
    (source / "cat" / "000.jpg").write_bytes(jpeg(photograph(3)))
    made(source, tmp_path / "made", max_bad=0)
    assert "bad-images.txt" not in files_of(tmp_path / "made")


def test_nothing_but_bad_images(tmp_path):
    source = write_folder(tmp_path / "photographs", {"a/0.jpg": b"", "b/0.jpg": b"no image"})
    text = "photographs: expected images, found 2 that cannot be used, of which the first is a/0.jpg: expected an image"
    with pytest.raises(ConvnetError, match=text):
        made(source, tmp_path / "made")


def test_names_with_odd_letters(tmp_path):
    name = os.fsdecode(b"cat/odd \xff\xfe\tand\nmore.jpg")
    source = write_folder(tmp_path / "photographs", {**GOOD, name: b""})
    made(source, tmp_path / "made")
    line = (tmp_path / "made" / "bad-images.txt").read_bytes()
    assert line.startswith(b"cat/odd \xff\xfe and more.jpg\texpected an image, but it cannot be decoded")
