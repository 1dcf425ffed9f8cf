"""What is right in a net that is described, but not in one to be run: devices and functions that are not there."""

import sys

import pytest

from convnet.config.reader import parse
from convnet.config.report import ConfigError, Report
from convnet.graph.build import check_files

LAYERS = """[data]
type=data
dataIdx=0
[fc]
type=fc
inputs=data
outputs=4
gpu=0,1
initBFunc=own_for_run.biases
[fc2]
type=fc
inputs=fc
outputs=4
[third]
type=neuron
inputs=fc2
neuron=relu
gpu=2
[cost]
type=cost.sum2
inputs=third
"""


def found(layers=LAYERS, **needs):
    """The errors, by lines counted from [fc]."""
    report, first = Report(), layers.splitlines().index("[fc]") + 1
    try:
        check_files(parse(layers, "layers.cfg", report), None, report, **needs)
    except ConfigError as error:
        return [f"{problem.place.line - first}: {problem.key}: {problem.text}" for problem in error.problems]
    return []


@pytest.mark.parametrize(("devices", "errors"), [
    (None, []), (3, []), (2, ["14: gpu: expected devices that a run has (0,1), found 2"]),
    (1, ["4: gpu: expected devices that a run has (0), found 0,1",
         "14: gpu: expected devices that a run has (0), found 2"]),
])  # fmt: skip
def test_devices(devices, errors):
    """Of layers without `gpu` nothing is said: they follow their input."""
    assert found(devices=devices) == errors


def test_other_mistakes_of_the_layer_hide_nothing():
    layers = LAYERS.replace("outputs=4\ngpu=0,1", "outputs=four\ngpu=1").replace("neuron=relu", "neuron=nosuch")
    errors = found(layers, devices=1, functions=True)
    assert [error.split(": ")[:2] for error in errors] == [
        ["3", "outputs"], ["4", "gpu"], ["5", "initBFunc"], ["13", "neuron"], ["14", "gpu"],
    ]  # fmt: skip


def test_functions_are_looked_for_but_not_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = "5: initBFunc: expected a function 'biases' in module 'own_for_run', found none"
    (tmp_path / "own_for_run.py").write_text("def weights(): raise SystemExit\n")
    try:
        assert found(functions=True) == [wanted]
        assert found(LAYERS.replace("run.biases", "run.weights"), functions=True) == []
    finally:
        sys.modules.pop("own_for_run", None)


def test_nothing_of_the_users_is_imported_unless_functions_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_for_run.py").write_text("raise RuntimeError\n")
    assert found() == []
    assert "own_for_run" not in sys.modules


def test_a_function_of_the_users_own_initw_is_noted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = LAYERS.replace("own_for_run.biases", "initw.makeb(run)")

    def notes():
        report = Report()
        check_files(parse(text, "layers.cfg", report), None, report, functions=True)
        return [str(note) for note in report.notes if "initw" in note.text]

    sys.modules.pop("initw", None)
    try:
        assert notes() == []
        (tmp_path / "initw.py").write_text("def makeb(*arguments, params): pass\n")
        assert notes() == [
            f"layers.cfg:9: [fc] initBFunc: 'initw.makeb' is the function of {tmp_path / 'initw.py'}; 'makeb' alone is "
            "the one that comes with convnet"
        ]
    finally:
        sys.modules.pop("initw", None)
