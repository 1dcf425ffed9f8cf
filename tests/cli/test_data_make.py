"""`convnet data make`."""

import signal
import time
from pathlib import Path

import pytest
from convnet_cli import data_make

from convnet.data.making import FORMS
from tests.data.makers import write_folder
from tests.data.making.running import files_of
from tests.data.photographs import photograph_files

from .conftest import convnet, program

SMALL = ("--size", 32, "--batch-size", 10)


@pytest.fixture
def photographs(folder):
    return write_folder(folder / "photographs", photograph_files(range(30)))


def test_what_was_written_is_said(photographs):
    result = convnet("data", "make", "photographs", "made", *SMALL)
    assert result.output.splitlines() == [
        "24 images to train on in 3 data batches",
        "6 images to test on in 1 data batch",
        "3 classes",
        "train on them: convnet train --layers alexnet --classes 3 --data made",
    ]
    assert Path("made/batches.json").exists()


def test_bad_images_are_told(photographs):
    (photographs / "cat" / "bad.jpg").write_bytes(b"")
    assert (
        "1 image left out, named in made/bad-images.txt\n"
        in convnet("data", "make", photographs, "made", *SMALL).output
    )
    (photographs / "cat" / "worse.jpg").write_bytes(b"")
    result = convnet("data", "make", photographs, "again", "--max-bad", 1, code=2)
    assert result.stderr == "convnet: more than 1 image cannot be used (--max-bad); again/bad-images.txt names them\n"
    assert len(Path("again/bad-images.txt").read_text().splitlines()) == 2


def test_options_reach_the_library(photographs):
    options = ("--square", "--quality", 70, "--seed", 4, "--test-share", 0.5, "--workers", 1, "--form", "folders")
    convnet("data", "make", photographs, "made", *SMALL, *options)
    meta = Path("made/batches.json").read_text()
    assert all(text in meta for text in ('"square": true', '"quality": 70', '"seed": 4', '"size": 32'))
    assert "15 images" not in meta
    assert files_of(Path("made"))["data_batch_4.tar"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("nothing", "made"), "convnet: nothing: expected photographs, but there is no such file or folder\n"),
        (("photographs", "photographs"), "photographs: expected a folder outside photographs, where the "),
        (("photographs", "photographs/made"), "photographs/made: expected a folder outside photographs, "),
        (("photographs", "made", "--workers", 1025), "convnet: workers: expected 1 .. 1024, found 1025\n"),
        (("photographs", "made", "--size", 0), "convnet: size: expected 1 .. 4096, found 0\n"),
        (("photographs", "made", "--synsets", "photographs/cat/001.jpg"), "expected ILSVRC2012_img_train.tar or "),
    ],
)
def test_mistakes(photographs, options, text):
    assert text in convnet("data", "make", *options, code=2).stderr


@pytest.mark.parametrize(("batch", "ranges"), [(10, "--train-range 1-2 --test-range 3"), (30, "--test-range 1")])
def test_nothing_to_test_on_and_classes_without_images(photographs, batch, ranges):
    paths = sorted(path.relative_to(photographs) for path in photographs.rglob("*.jpg"))
    rows = [f"{path},{2 + number % 2 * 3},train" for number, path in enumerate(paths)]
    (photographs / "t.csv").write_text("image,label,split\n" + "\n".join(rows))
    result = convnet("data", "make", "photographs/t.csv", "made", "--size", 32, "--batch-size", batch)
    assert result.output.splitlines()[1:] == [
        "0 images to test on in 0 data batches",
        "6 classes",
        "4 of 6 classes have no image",
        "no image to test on: --test-range names data batches to test on, --train-range those to train on",
        f"train on them: convnet train --layers alexnet --classes 6 --data made {ranges}",
    ]


def test_nothing_to_train_on(photographs):
    photographs.rename("val")
    Path("photographs").mkdir()
    Path("val").rename("photographs/val")
    result = convnet("data", "make", "photographs", "made", *SMALL)
    assert result.output.splitlines() == [
        "0 images to train on in 0 data batches",
        "30 images to test on in 3 data batches",
        "3 classes",
    ]


def test_the_forms_are_those_of_the_library():
    """Which is not imported for --help."""
    form = next(option for option in data_make.command.params if option.name == "form")
    assert tuple(form.type.choices) == FORMS


def test_help_says_what_users_stumble_over():
    text = " ".join(convnet("data", "make", "--help").output.split())
    for part in (
        "1 to 1024",
        "cut off, be it by their last bytes",
        "relative to it and may lead anywhere",
        "only then are its folders checked",
    ):
        assert part in text


def test_ctrl_c_and_the_same_command_again(photographs):
    write_folder(photographs, photograph_files(range(400)))
    options = ("data", "make", "photographs", "made", *SMALL, "--workers", 1)
    process = program(*options, stderr=-1, stdout=-1)
    while not Path("made/.make/segment_000000.jpegs.tmp").exists():
        time.sleep(0.002)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, "", "stopped: the same command goes on\n")
    convnet(*options)
    convnet(*options[:3], "undisturbed", *options[4:])
    assert files_of(Path("made")) == files_of(Path("undisturbed"))
