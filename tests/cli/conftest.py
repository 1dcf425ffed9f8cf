"""The command line in process and as a program, and a small net with data to run it on."""

import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from convnet_cli import main

PROGRAM = Path(sysconfig.get_path("scripts")) / "convnet"
LAYERS = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[scale]
type=neuron
inputs=data
neuron=linear[0.01,0]
[conv]
type=conv
inputs=scale
channels=3
filters=4
filterSize=3
initW=0.3
neuron=relu
[drop]
type=dropout
inputs=conv
[fc]
type=fc
inputs=drop
outputs=3
initW=0.1
[probs]
type=softmax
inputs=fc
[logprob]
type=cost.logreg
inputs=labels,probs
"""
RATES = "epsW=0.05\nepsB=0.1\nmomW=0.9\nmomB=0.9\nwc=0.01\n"
PARAMS = f"[train]\nbatch-size=20\nmini=8\nepochs=2\n[conv]\n{RATES}[drop]\nkeep=0.8\n[fc]\n{RATES}[logprob]\ntopk=2\n"
TRAIN, TEST = 50, 12  # cases: batches 1, 2, 3 and 4


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Be in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small(folder):
    """A folder with the files of a small net, small.cfg and rates.cfg, and its data of 3x8x8 images, data.npz."""
    Path("small.cfg").write_text(LAYERS)
    Path("rates.cfg").write_text(PARAMS)
    random = np.random.default_rng(3)
    images = {f"{part}_images": random.integers(0, 256, (n, 8, 8, 3), np.uint8) for part, n in _PARTS}
    labels = {f"{part}_labels": np.arange(n) % 3 for part, n in _PARTS}
    np.savez("data.npz", **images, **labels)
    return folder


_PARTS = (("train", TRAIN), ("test", TEST))
NET = ("--layers", "small.cfg", "--params", "rates.cfg")
DATA = ("--data", "data.npz")


def convnet(*arguments, code=0):
    """Run a command in process; it must end with this exit code, and without an exception of its own."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="convnet")
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == code, result.output
    return result


def program(*arguments, **options):
    """Start the installed command as a process of its own, outputs as text."""
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "PYTHONWARNINGS": "error"}
    command = [PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, **options)


def only_run(runs="runs"):
    """The one run in a folder."""
    (run,) = Path(runs).iterdir()
    return run
