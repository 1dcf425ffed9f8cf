"""`convnet data info` and `convnet data sample`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.test_info import NO_JPEG, write_convnet2

from .conftest import TEST, TRAIN, convnet


def picture_size(path):
    with Image.open(path) as picture:
        return picture.size


def test_info(small):
    output = convnet("data", "info", "data.npz", "--batch-size", "20").stdout.splitlines()
    assert output[0] == "arrays in data.npz: images of 3x8x8 in 3 classes"
    assert output[1] == f"training: {TRAIN} cases in batches 1-3 of 10 to 20"
    assert output[2] == f"testing: {TEST} cases in batch 4 of 12"
    mean = np.load("data.npz")["train_images"].mean(axis=(0, 1, 2))
    assert output[3] == "mean of the channels: " + " ".join(f"{value:.1f}" for value in mean)
    assert [line.split() for line in output[4:]] == [
        ["class", "training", "testing"], ["0", "17", "4"], ["1", "17", "4"], ["2", "16", "4"],
    ]  # fmt: skip


def test_info_of_photographs(folder):
    write_convnet2(folder / "data")
    output = convnet("data", "info", "data").stdout.splitlines()
    assert output[:5] == [
        "photographs in data (cuda-convnet2's form): images of 3x6x6 in 3 classes",
        "training: 3 cases in batches 0-1 of 1 to 2",
        "testing: 3 cases in batch 1000 of 3; without a label: 1",
        "cases may have several labels, or none",
        f"stored images: {6 * len(NO_JPEG)} bytes",
    ]


def test_info_as_json_with_a_picture(small):
    output = json.loads(convnet("data", "info", "data.npz", "--json", "--picture", "mean.png").stdout)
    assert output["train"]["cases"] == TRAIN
    assert np.array(output["colour_axes"]).shape == (3, 3)
    assert picture_size("mean.png") == (256 + 5 * (82 + 4), 256)
    output = convnet("data", "info", "data.npz", "--picture", "again.png").stdout
    assert output.endswith("saved again.png\n")
    assert Path("again.png").read_bytes() == Path("mean.png").read_bytes()


def test_info_of_built_in_data(folder):
    assert convnet("data", "info").stdout.startswith("handwritten digits")
    output = convnet("data", "info", "--data-provider", "dummy-2x3x4-3").stdout
    assert output.startswith("random numbers: images of 2x3x4 in 3 classes\ntraining: 128 cases in batch 1 of 128\n")


def test_sample(small):
    arguments = ("data", "sample", "data.npz", "--crop", "6", "--noise", "0.1", "--cases", "5")
    output = convnet(*arguments, "--seed", "3").stdout.splitlines()
    assert output[0] == "arrays in data.npz: 5 training cases"
    assert [line.split()[0] for line in output[1:6]] == ["1.1", "1.2", "1.3", "2.1", "2.2"]
    assert {line.split()[1] for line in output[1:6]} <= {"0", "1", "2"}
    assert output[6:] == ["saved sample.png"]
    first = Path("sample.png").read_bytes()
    assert picture_size("sample.png") == (3 * 96 + 2 * 4, 2 * 96 + 4)
    convnet(*arguments, "--seed", "3", "--out", "same.png")
    assert Path("same.png").read_bytes() == first
    convnet(*arguments, "--seed", "4")
    assert Path("sample.png").read_bytes() != first
    output = convnet("data", "sample", "data.npz", "--test", "--cases", "20").stdout.splitlines()
    assert output[0] == f"arrays in data.npz: {TEST} test cases"
    assert len(output) == TEST + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nothing"], "nothing: expected data, but there is no such file or folder"),
        (["info", "small.cfg"], "small.cfg: expected a folder, a tar or zip archive or a .npz file"),
        (["info", "data.npz", "--picture", "nowhere/x.png"], "nowhere/x.png: cannot be written: No such file"),
        (["info", "--data-provider", "dummy-2x3x4-3", "--picture", "x.png"], "expected images of 1 or 3 channels"),
        (["sample", "nothing"], "nothing: expected data, but there is no such file or folder"),
        (["sample", "data.npz", "--out", "nowhere/x.png"], "nowhere/x.png: cannot be written: No such file"),
        (["sample", "data.npz", "--out", "."], ".: cannot be written: "),
        (["sample", "data.npz", "--crop", "9"], "arrays in data.npz: crop 9 does not fit into images of 8x8 pixels"),
        (["sample", "--data-provider", "dummy-2x3x4-3"], "random numbers: expected images of 1 or 3 channels, found"),
    ],
)
def test_errors(arguments, message, small):
    before = sorted(small.rglob("*"))
    result = convnet("data", *arguments, code=2)
    assert result.stderr.startswith(f"convnet: {message}"), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert sorted(small.rglob("*")) == before


@pytest.mark.parametrize("cases", ["0", "1001", "x"])
def test_how_many_cases(cases, small):
    assert "--cases" in convnet("data", "sample", "data.npz", "--cases", cases, code=2).stderr


@pytest.mark.parametrize("name", ["info", "sample"])
def test_help(name):
    output = convnet("data", name, "--help").stdout
    assert f"convnet data {name} imagenet" in output
    assert "--image-size" in output
    assert "--data-path" not in output
