"""A training run as a process: the progress bar of a terminal, and Ctrl-C."""

import json
import math
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from .conftest import DATA, LAYERS, NET, convnet, only_run, program

# Epochs of so many minibatches that a run is stopped within one, and no test between them.
CASES, EPOCHS = 12000, 3
LONG = (
    *NET,
    "--data-provider",
    "dummy-3x8x8-3",
    "--batch-size",
    CASES,
    "--mini",
    5,
    "--epochs",
    EPOCHS,
    "--test-freq",
    9,
)


def weights(runs):
    return load_file(sorted(only_run(runs).iterdir())[-1] / "weights.safetensors")


def state(runs):
    return json.loads((sorted(only_run(runs).iterdir())[-1] / "state.json").read_text())["state"]


def read_terminal(process, terminal):
    """All that the process writes to the terminal."""
    chunks = []
    while True:
        try:
            chunks.append(os.read(terminal, 4096))
        except OSError:  # how Linux says that the other end was closed
            chunks.append(b"")
        if not chunks[-1]:
            os.close(terminal)
            assert process.wait(timeout=30) == 0
            return b"".join(chunks).decode()


def on_terminal(*arguments, **outputs):
    """What a command shows on a terminal."""
    terminal, other_end = pty.openpty()
    process = program(*arguments, **{"stdout": other_end, "stderr": other_end, **outputs})
    os.close(other_end)
    return read_terminal(process, terminal)


def test_a_terminal_shows_a_bar_and_the_lines(small):
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", on_terminal("train", *LONG))
    assert "reading data ━" in text
    bars = re.findall(r"epoch (\d)/3 batch 1 cost \d\.\d{4} [━╸╺]+ +(\d+)/12000 \d:\d\d:\d\d", text)
    assert len(bars) > 3, "no bar with the epoch and the cost"
    # A line that is printed while the bar is drawn by its thread may bring back what the bar showed before.
    assert list(dict.fromkeys(bars)) == sorted(set(bars), key=lambda bar: tuple(map(int, bar)))
    assert len(re.findall(r"epoch \d/3 batch 1  logprob: cost [^\r\n━]* waiting for data\)\r\n", text)) == EPOCHS
    assert text.rstrip().endswith(f"\r\ntest it: convnet test --checkpoint {only_run()}/minibatch-000007200-tests-0001")


@pytest.mark.parametrize("redirected", [False, True])
def test_testing_shows_a_bar_on_a_terminal_only(small, redirected):
    convnet("train", *NET, *DATA)
    with open("log", "w") as log:
        outputs = {"stdout": log, "stderr": log} if redirected else {"stdout": log}
        shown = on_terminal("test", "-f", only_run(), "--mini", 1, **outputs)
    shown, lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown), Path("log").read_text()
    assert re.fullmatch(r"data: .*\n.*\(12 cases\)\n", lines)
    assert bool(re.search(r"testing .*━.* \d+/12 ", shown)) is not redirected
    assert ("reading data" in shown) is not redirected


def test_lines_go_to_a_file_while_the_bar_is_on_the_terminal(small):
    with open("log", "w") as log:
        shown = on_terminal("train", *NET, *DATA, stdout=log)
    lines = Path("log").read_text()
    assert "\x1b" not in lines
    assert lines.startswith("data: ")
    assert lines.count(" waiting for data)\n") == 6
    assert "━" in shown
    assert "waiting for data" not in shown


def test_no_colours_or_bars_in_a_pipe(small):
    with program("train", *NET, *DATA, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        text = process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert not re.search("[\x1b\r━]", text)


@pytest.fixture
def interrupted(small):
    """What a process printed that Ctrl-C was sent to when the second epoch had begun."""
    with program("train", *LONG, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("epoch 1/3 "):
                time.sleep(0.1)  # an epoch takes longer
                process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "")
    return [line.rstrip("\n") for line in lines]


def test_ctrl_c_saves_a_checkpoint_and_says_how_to_go_on(interrupted):
    run = only_run()
    assert interrupted[-3:] == [
        "stopping after this minibatch (Ctrl-C again: at once)",
        f"  saved {next(run.iterdir())}",
        f"go on: convnet train --checkpoint {run}",
    ]
    stopped = state("runs")
    assert [entry["cases"] for entry in stopped["train_history"]] == [CASES] * (stopped["epoch"] - 1)
    assert 0 < stopped["partial"]["cases"] < CASES, "not within an epoch"
    assert stopped["minibatches_done"] == ((stopped["epoch"] - 1) * CASES + stopped["partial"]["cases"]) / 5


def test_a_run_stopped_by_ctrl_c_goes_on_as_if_nothing_had_happened(interrupted):
    convnet("train", *LONG, "--save-path", "whole")
    command = interrupted[-1].removeprefix("go on: convnet ").split()
    lines = convnet(*command).stdout.splitlines()
    assert lines[-1] == f"test it: convnet test --checkpoint {only_run()}/minibatch-000007200-tests-0001"
    assert state("runs") == state("whole")
    assert state("runs")["minibatches_done"] == EPOCHS * CASES / 5
    first, second = weights("runs"), weights("whole")
    assert all(np.array_equal(first[name], second[name]) for name in second)


def test_another_minibatch_may_be_asked_for_after_ctrl_c(interrupted):
    """The cases that are left of the data batch are trained, each once."""
    stopped = state("runs")
    convnet("train", "--checkpoint", only_run(), "--mini", 16)
    ended = state("runs")
    assert [entry["cases"] for entry in ended["train_history"]] == [CASES] * EPOCHS
    left = [CASES - stopped["partial"]["cases"]] + [CASES] * (EPOCHS - stopped["epoch"])
    assert ended["minibatches_done"] == stopped["minibatches_done"] + sum(math.ceil(cases / 16) for cases in left)


def test_ctrl_c_before_training_begins_ends_at_once(small):
    """While a module is imported for initial weights, which here never ends."""
    Path("slow_weights.py").write_text("import time\n\nprint('waiting', flush=True)\ntime.sleep(60)\n")
    Path("small.cfg").write_text(LAYERS.replace("outputs=3", "outputs=3\ninitWFunc=slow_weights.never"))
    with program("train", *NET, *DATA, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.strip() == "Aborted!"
    assert not Path("runs").exists()
