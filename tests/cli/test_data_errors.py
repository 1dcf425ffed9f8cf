"""Data that is not as it should be: the message names it, nothing is written, the exit code is 2."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.data.makers import image_files, random_images, write_folder, write_idx, write_tar, write_zip

from .conftest import LAYERS, NET, convnet

IMAGES = random_images(12, 8, 8, 3)
LABELS = np.arange(12) % 3
OUTPUTS = "small.cfg:26: [fc] outputs:"
WHOLE = {**image_files(IMAGES, LABELS, "train/"), **image_files(IMAGES[:6], LABELS[:6], "test/")}


def write_arrays(path, **changes):
    arrays = {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES[:6], "test_labels": LABELS[:6]}
    arrays |= changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def write_short_idx(path):
    path.mkdir()
    write_idx(path, IMAGES[..., 0], LABELS, IMAGES[:6, ..., 0], LABELS[:6])
    file = path / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])


TRUNCATED = {**WHOLE, "train/b/004.png": WHOLE["train/b/004.png"][:-60]}
NO_IMAGES = "holds no images; expected train/<class>/<image> and test/<class>/<image>, or <class>/<image>"


def without(part):
    """The images that are not in this folder."""
    return {name: file for name, file in WHOLE.items() if part not in name}


# How the data is made, its name, and what the message holds.
DATA = {
    "nothing there": (lambda path: None, "data", "data: expected data, but there is no such file or folder"),
    "a file of no known kind": (
        lambda path: path.write_text("cat"), "data.txt",
        "data.txt: expected a folder, a tar or zip archive or a .npz file",
    ),
    "empty folder": (lambda path: path.mkdir(), "data", f"data: {NO_IMAGES}"),
    "empty tar": (lambda path: write_tar(path, {}), "data.tar", f"data.tar: {NO_IMAGES}"),
    "empty tar.xz": (lambda path: write_tar(path, {}), "data.tar.xz", f"data.tar.xz: {NO_IMAGES}"),
    "empty zip": (lambda path: write_zip(path, {}), "data.zip", f"data.zip: {NO_IMAGES}"),
    "images in no class folder": (
        lambda path: write_tar(path, {"a.png": WHOLE["train/a/000.png"]}), "data.tar",
        "data.tar: a.png is not in a class folder",
    ),
    "damaged tar.gz": (
        lambda path: path.write_bytes(gzip.compress(b"x" * 9999)[:-20]), "data.tar.gz", "data.tar.gz: cannot be read",
    ),
    "truncated image in a folder": (
        lambda path: write_folder(path, TRUNCATED), "data",
        "data: train/b/004.png: expected an image, but it cannot be decoded",
    ),
    "truncated image in an archive": (
        lambda path: write_tar(path, TRUNCATED), "data.tar",
        "data.tar: train/b/004.png: expected an image, but it cannot be decoded",
    ),
    "missing class folder": (
        lambda path: write_folder(path, without("test/c")), "data",
        "data: class folder test/c is missing; train and test need the same",
    ),
    "missing class folder in training": (
        lambda path: write_zip(path, without("train/a")), "data.zip",
        "data.zip: class folder train/a is missing; train and test need the same",
    ),
    "two classes": (
        lambda path: write_folder(path, without("/c/")), "data",
        f"{OUTPUTS} expected 2, the number of classes in the data, found 3; --classes 2 fits the net to this data",
    ),
    "other channels": (
        lambda path: write_arrays(path, train_images=IMAGES[..., :2], test_images=IMAGES[:6, ..., :2]), "data.npz",
        "small.cfg:15: [conv] channels: expected 2, the channels of input 'scale' (2x8x8), found 3",
    ),
    "fewer labels than images": (
        lambda path: write_arrays(path, train_labels=LABELS[:-1]), "data.npz", "data.npz: train_labels: expected",
    ),
    "test images of another size": (
        lambda path: write_arrays(path, test_images=IMAGES[:6, :7]), "data.npz",
        "data.npz: expected training and test images of one size, found train_images of (12, 8, 8, 3) and ",
    ),
    "array of the wrong dimensions": (
        lambda path: write_arrays(path, train_images=IMAGES[..., None]), "data.npz", "data.npz: train_images: expected",
    ),
    "missing array": (
        lambda path: write_arrays(path, train_labels=None), "data.npz", "data.npz: expected an array train_labels",
    ),
    "no npz": (lambda path: path.write_bytes(b"PK\3\4 nothing"), "data.npz", "data.npz: expected a .npz file"),
    "IDX file of the wrong size": (
        write_short_idx, "data", "data/train-images-idx3-ubyte: expected (12, 8, 8) = 768 bytes, found 767",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DATA)
def test_train(name, small):
    make, path, message = DATA[name]
    make(Path(path))
    before = sorted(small.rglob("*"))
    result = convnet("train", *NET, "--data", path, code=2)
    assert result.stderr.startswith("convnet: ")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert sorted(small.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "data.npz", "--crop", "9"], "arrays in data.npz: crop 9 does not fit into images of 8x8 pixels"),
        (["--data", "data.npz", "--crop-border", "4"], "arrays in data.npz: crop border 4 does not fit"),
        (["--data", "data.npz", "--crop", "4", "--crop-border", "1"], "crop and crop border: expected one of them"),
        (["--data", "data.npz", "--test-range", "4-5"], "--test-range: expected data batches from 1 to 4, found 5"),
        (["--data", "data.npz", "--train-range", "2-6"], "--train-range: expected data batches from 1 to 4, found 5"),
        (["--data", "data.npz", "--data-provider", "cifer"], "data provider: expected one of image-batches, cifar, "),
        (["--data", "data.npz", "--data-provider", "idx"], "data.npz"),
        (["--data", "data.npz", "--data-provider", "sample"], "data provider sample: expected no path, found data.npz"),
        (["--data", "data.npz", "--scalar-mean", "1e300"], "scalar mean: expected a number of at most 1e+30 in size"),
        (["--data", "data.npz", "--noise", "1e300"], "noise: expected a number of at most 1e+30 in size, found 1e+300"),
        (["--data-provider", "cifar"], "data provider cifar: expected the path of its data (--data)"),
        (["--data-provider", "dummy-3x8x8"], "data provider: expected dummy-<channels>x<y>x<x>-<classes>"),
        (["--data", "data.npz", "--image-size", "9"], "data provider npz takes no image size"),
        (["--data", "data.npz", "--test-share", "1"], "test share: expected a number above 0 and below 1, found 1"),
        (["--input", "2x8x8"], "there is no built-in sample for an input of 2x8x8: expected 3 channels"),
        (["--data-provider", "dummy-1x8x8-3", "--noise", "0.1"], "random numbers: expected images of 3 channels"),
        (["--data-provider", "dummy-3x8x8-4"], f"{OUTPUTS} expected 4, the number of classes in the data, found 3"),
        (["--data-provider", "dummy-3x8x8-3", "--classes", "2"], f"{OUTPUTS} expected 3, the number of classes"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_the_data(arguments, message, small):
    result = convnet("train", *NET, *arguments, code=2)
    assert result.stderr.startswith(f"convnet: {message}"), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("runs").exists()


def test_classes_without_a_layer_to_set_them_in(small):
    Path("small.cfg").write_text(LAYERS.partition("[labels]")[0] + "[cost]\ntype=cost.sum2\ninputs=data\n")
    result = convnet("train", *NET, "--data-provider", "dummy-3x8x8-3", "--classes", "3", code=2)
    assert result.stderr.startswith(
        "convnet: small.cfg: --classes: expected one fc layer below all costs of classes"
    )


def test_test_on_data_that_does_not_fit(small):
    convnet("train", *NET, "--data", "data.npz", "--epochs", "1")
    (run,) = Path("runs").iterdir()
    before = sorted(small.rglob("*"))
    for data, message in (("nowhere", "nowhere: expected data"), ("small.cfg", "small.cfg: expected a folder")):
        assert convnet("test", "--checkpoint", run, "--data", data, code=2).stderr.startswith(f"convnet: {message}")
    for command in (["test"], ["train", "--epochs", "2"], ["features", "--layer", "fc", "--out", "features"]):
        result = convnet(*command, "--checkpoint", run, "--data-provider", "dummy-3x8x8-5", code=2)
        assert result.stderr == "convnet: random numbers: the net was trained on 3 classes, this data has 5\n"
    result = convnet("train", "--checkpoint", run, "--classes", "5", "--epochs", "2", code=2)
    assert result.stderr == "convnet: --classes: the net was trained on 3 classes, found 5\n"
    result = convnet("test", "--checkpoint", run, "--crop", "5", code=2)
    assert "expected data of 3x8x8 and 1, which the net was trained on, found 3x5x5 and 1" in result.stderr
    assert sorted(small.rglob("*")) == before


@pytest.mark.parametrize("provider", ["dummy-3x8x8-3", "sample"])
def test_built_in_data_instead_of_the_data_of_a_run(provider, small):
    convnet("train", *NET, "--data", "data.npz", "--epochs", "1")
    (run,) = Path("runs").iterdir()
    wrong = ["the net was trained on 3 classes, this data has 8"] if provider == "sample" else []
    code = 2 if wrong else 0
    shared = ("--checkpoint", run, "--data-provider", provider, "--input", "3x8x8")
    result = convnet("test", *shared, code=code)
    assert all(text in result.stderr for text in wrong)
    assert wrong or result.stdout.startswith("data: random numbers: ")
    result = convnet("train", *shared, "--epochs", "2", code=code)
    assert all(text in result.stderr for text in wrong)
    # The run has the other data now: neither the path nor its batch size has come back.
    assert wrong or convnet("test", "--checkpoint", run).stdout.startswith("data: random numbers: 128 training")


def test_built_in_data_instead_of_that_of_a_train_section(small):
    Path("rates.cfg").write_text(Path("rates.cfg").read_text().replace("[train]\n", "[train]\ndata=data.npz\n"))
    output = convnet("train", *NET, "--data-provider", "dummy-3x8x8-3", "--epochs", "1").stdout
    assert output.startswith("data: random numbers: ")


@pytest.mark.parametrize("command", [["train", "--epochs", "1"], ["check-grads"]])
@pytest.mark.parametrize("mini", [10**15, 10**17])
def test_minibatches_beyond_any_memory(command, mini, small):
    result = convnet(*command, *NET, "--input", "3x8x8", "--classes", "3", "--mini", mini, *DUMMY[command[0]], code=2)
    assert result.stderr.startswith("convnet: the net or its data does not fit into memory: ")
    assert not Path("runs").exists()


@pytest.mark.parametrize("command", [["test"], ["features", "--layer", "fc", "--out", "features"]])
def test_minibatches_beyond_any_memory_of_a_trained_net(command, small):
    convnet("train", *NET, "--data", "data.npz", "--epochs", "1")
    (run,) = Path("runs").iterdir()
    result = convnet(*command, "--checkpoint", run, "--mini", 10**15, code=2)
    assert result.stderr.startswith("convnet: the net or its data does not fit into memory: ")


DUMMY = {"train": ["--data-provider", "dummy-3x8x8-3"], "check-grads": []}
