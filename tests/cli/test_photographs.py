"""From a folder of photographs to a trained net: make, train with any number of processes, stop, go on, test, look."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.data.makers import write_folder
from tests.data.photographs import photograph_files

from .conftest import NET, PARAMS, convnet

OPTIONS = ("--device", "cpu", "--crop", "20", "--noise", "0.1", "--mini", "8", "--shuffle", "--flip")


@pytest.fixture
def batches(small):
    """Data batches of photographs of three classes: 42 to train on, 9 to test on, 24 pixels on the short side."""
    Path("rates.cfg").write_text(PARAMS.replace("batch-size=20\n", ""))
    folder = write_folder(Path("photographs"), photograph_files(range(51)))
    convnet("data", "make", folder, "batches", "--size", "24", "--batch-size", "16")
    return "batches"


def trained(batches, name, *options):
    convnet("train", *NET, "--data", batches, "--save-path", name, "--epochs", "3", *OPTIONS, *options)
    (run,) = Path(name).iterdir()
    return run


def weights(run):
    """The bytes of the newest checkpoint's weights."""
    newest = max(run.iterdir())
    assert load_file(newest / "weights.safetensors")
    return (newest / "weights.safetensors").read_bytes()


def test_any_number_of_processes_gives_the_same_net(batches):
    one, two = trained(batches, "one", "--workers", "1"), trained(batches, "two", "--workers", "3")
    assert weights(one) == weights(two)


def test_a_run_that_goes_on(batches):
    whole = trained(batches, "whole")
    begun = trained(batches, "begun", "--epochs", "2")
    convnet("train", "--checkpoint", begun, "--epochs", "3", "--workers", "2")
    assert weights(begun) == weights(whole)


def test_ten_views(batches):
    run = trained(batches, "run")
    plain = json.loads(convnet("test", "--checkpoint", run, "--json").stdout)
    views = json.loads(convnet("test", "--checkpoint", run, "--multiview", "--json").stdout)
    assert (plain["cases"], plain["views"], views["cases"], views["views"]) == (9, 1, 9, 10)
    assert plain["cost"] != views["cost"]


def test_a_damaged_image_ends_training_with_a_message(batches):
    path = Path("batches/data_batch_2.tar")
    content = bytearray(path.read_bytes())
    place = content.index(b"\xff\xd8\xff", 3000)
    content[place : place + 2] = b"no"
    path.write_bytes(content)
    result = convnet("train", *NET, "--data", batches, *OPTIONS, code=2)
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("convnet: ")
    assert "data_batch_2.tar: case " in message
    assert "expected a JPEG, but it cannot be decoded" in message
