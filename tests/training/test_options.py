"""The options of training: [train], defaults, and what checkpoints keep of them."""

import json
from pathlib import Path

import pytest

from convnet.config.reader import parse
from convnet.config.report import Report
from convnet.data.provider import MOST_WORKERS
from convnet.shape import Maps
from convnet.training.options import ALL, from_plain, merged, read_train_section, to_plain

VALUES = {
    "data": ("some/where", "some/where"), "data-provider": ("cifar", "cifar"), "input": ("3x24x32", Maps(3, 24, 32)),
    "crop": ("24", 24), "crop-border": ("4", 4), "flip": ("no", False), "noise": ("0.1", 0.1),
    "scalar-mean": ("127.5", 127.5), "batch-size": ("100", 100), "test-share": ("0.25", 0.25), "image-size": ("32", 32),
    "mini": ("64", 64), "classes": ("7", 7), "seed": ("3", 3), "epochs": ("9", 9), "train-range": ("1-4", [1, 2, 3, 4]),
    "late-range": ("1-5", [1, 2, 3, 4, 5]), "late-epoch": ("351", 351), "test-freq": ("50", 50),
    "shuffle": ("yes", True), "test-one": ("1", True), "keep": ("2", 2), "test-range": ("6", [6]),
}  # fmt: skip


def train_section(text, layers=""):
    report = Report()
    options = read_train_section(parse(text, "params.cfg", report), parse(layers, "layers.cfg", report), report)
    return options, [str(problem) for problem in report.errors]


def test_the_values_of_this_file_are_all_options_that_say_what_is_computed():
    assert {*VALUES, "workers"} == {key.name for key in ALL}


@pytest.mark.parametrize("name", VALUES)
def test_every_option_in_a_train_section(name):
    text, value = VALUES[name]
    assert train_section(f"[train]\n{name} = {text}\n") == ({name: value}, [])


@pytest.mark.parametrize("key", [key for key in ALL if key.aliases], ids=lambda key: key.name)
def test_aliases_of_the_originals(key):
    text, value = VALUES[key.name]
    for alias in key.aliases:
        assert train_section(f"[train]\n{alias}={text}\n") == ({key.name: value}, [])


def test_only_what_is_given_is_set():
    """Otherwise a default would win over what a checkpoint holds."""
    assert train_section("[train]\nepochs=4\n")[0] == {"epochs": 4}
    assert train_section("[train]\n")[0] == {}
    assert train_section("[fc]\nepsW=1\n")[0] == {}
    assert read_train_section(None, parse("", "layers.cfg", Report()), Report()) == {}


def test_a_layer_called_train_keeps_its_section():
    assert train_section("[train]\nepsW=0.1\n", layers="[train]\ntype=fc\n") == ({}, [])


def test_problems_are_reported_with_their_line():
    _, errors = train_section("[train]\nepochs=0\n\nepcohs=3\nmini=many\n")
    assert len(errors) == 3
    assert any(error.startswith("params.cfg:2: [train] epochs: expected") for error in errors)
    assert any(error.startswith("params.cfg:4: [train] epcohs: ") and "'epochs'" in error for error in errors)
    assert any(error.startswith("params.cfg:5: [train] mini: expected") for error in errors)


def test_later_sources_win():
    options = merged({"epochs": 3, "mini": 5}, {"mini": 7})
    assert (options["epochs"], options["mini"]) == (3, 7)
    assert options["keep"] == next(key.default for key in ALL if key.name == "keep")
    assert set(options) == {key.name for key in ALL}


@pytest.mark.parametrize(("first", "second"), [("crop", "crop-border"), ("crop-border", "crop")])
def test_the_way_to_crop_that_is_given_last_wins(first, second):
    options = merged({first: 24, "mini": 5}, {second: 3})
    assert (options[first], options[second], options["mini"]) == (0, 3, 5)
    options = merged({first: 24, second: 0}, {second: 3})
    assert (options[first], options[second]) == (0, 3)
    options = merged({first: 24}, {"mini": 7})
    assert (options[first], options[second]) == (24, 0)
    options = merged({}, {first: 24, second: 3})
    assert (options[first], options[second]) == (24, 3), "both at once are for the data provider to refuse"


def test_defaults_are_of_the_kind_that_the_key_takes():
    for key in ALL:
        if key.default is not None:
            assert key.kind.parse(str(key.default)) == key.default


def test_where_to_run_belongs_on_the_command_line():
    options, errors = train_section("[train]\nworkers=3\n")
    assert options == {}
    assert errors == ["params.cfg:2: [train] workers: belongs on the command line (--workers)"]


def test_what_a_checkpoint_keeps_comes_back():
    """All but where to run: a run has the same files whatever the number of workers."""
    options = {name: value for name, (_, value) in VALUES.items()}
    found = from_plain(json.loads(json.dumps(to_plain(merged(options, {"workers": 3})))))
    assert found == {**options, "data": str(Path.cwd() / options["data"])}
    assert isinstance(found["input"], Maps)
    assert {**from_plain(json.loads(json.dumps(to_plain(merged())))), "workers": None} == merged()


def test_options_that_no_longer_exist_are_left_out():
    assert from_plain({"epochs": 3, "gpu-fraction": 0.5}) == {"epochs": 3}


def test_the_most_workers_are_those_that_providers_take():
    """The number is written twice, because the module of the providers takes long to import."""
    kind = next(key.kind for key in ALL if key.name == "workers")
    assert kind.parse(str(MOST_WORKERS)) == MOST_WORKERS
    with pytest.raises(ValueError, match=f"expected an integer from 1 to {MOST_WORKERS}, found"):
        kind.parse(str(MOST_WORKERS + 1))
