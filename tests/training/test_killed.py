"""A run killed with SIGKILL at random moments resumes each time and ends with the same files as one never killed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convnet.training.checkpoint import Checkpoint, newest

from .small import Place, files_of

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 120  # of two data batches; a test and a checkpoint after each
KINDS = ["working", "working", "writing", "working", "writing", "starting", "writing", "working", "writing", "starting"]
PATIENCE = 60  # seconds that a process may take to come to the point


class Session:
    """`convnet train` in a process of its own."""

    def __init__(self, arguments, output):
        self.output = output
        command = [sys.executable, "-c", "import cli; cli.main()", "train", *map(str, arguments)]
        with output.open("wb") as file:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)

    def wait_until(self, reached):
        """Wait for a moment in the life of the process."""
        limit = time.monotonic() + PATIENCE
        while not reached():
            said = self.output.read_text
            assert self.process.poll() is None, f"the process ended: {said()}"
            assert time.monotonic() < limit, f"nothing happened: {said()}"
            time.sleep(0.0002)

    def kill(self):
        """End the process at once; it must still be at work."""
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL, self.output.read_text()


def minibatches_saved(runs):
    """The minibatches done at the newest checkpoint below `runs`."""
    return max((int(path.name.split("-")[1]) for path in runs.glob("*/minibatch-*")), default=0)


def wait_for_moment(session, kind, runs, generator):
    """Wait until the process is to be killed: in its first second, or so and so many checkpoints later at its work or
    while it writes the next one."""
    if kind == "starting":
        time.sleep(generator.uniform(0, 1))
        return
    aim = minibatches_saved(runs) + 5 * generator.randint(1, 6) / 2  # an epoch is 5 minibatches and 2 checkpoints
    session.wait_until(lambda: minibatches_saved(runs) >= aim)
    if kind == "writing":
        session.wait_until(lambda: any(runs.glob("*/.writing-*")))
        time.sleep(generator.uniform(0, 0.002))
    else:
        time.sleep(generator.uniform(0, 0.02))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" in os.environ, reason="timing")
def test_killed_at_ten_random_moments(tmp_path):
    place, generator = Place(tmp_path), random.Random(11)
    whole = place.uninterrupted(epochs=EPOCHS).run.rename(tmp_path / "whole")
    arguments = ["--layers", place.layers, "--params", place.params, "--data", place.data, "--epochs", EPOCHS,
                 "--save-path", place.runs]  # fmt: skip
    saved, unfinished = 0, 0
    for kind in KINDS:
        session = Session(arguments, tmp_path / "output.txt")
        wait_for_moment(session, kind, place.runs, generator)
        session.kill()
        (run,) = place.runs.iterdir()
        state = Checkpoint.load(run).state  # it is whole
        assert state.minibatches_done >= saved
        saved, unfinished = state.minibatches_done, unfinished + any(run.glob(".writing-*"))
        print(kind, saved, [p.name for p in run.iterdir()])
        arguments = ["--checkpoint", run]
    assert 2 <= unfinished <= len(KINDS) - 4, "the kills did not hit both the work and the writing of checkpoints"
    session = Session(arguments, tmp_path / "output.txt")
    assert session.process.wait(PATIENCE) == 0, session.output.read_text()
    assert newest(run).name == newest(whole).name
    assert files_of(run) == files_of(whole)
