"""A run killed with SIGKILL at random moments resumes each time and ends with the same files as one never killed."""

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
EPOCHS = 80  # of two data batches; a test and a checkpoint after each
KINDS = ["working", "working", "writing", "working", "writing", "starting", "writing", "working", "working", "starting"]
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


def checkpoints_seen(runs):
    """The names of the whole checkpoints below `runs`."""
    return {path.parent.name for path in runs.glob("*/minibatch-*/state.json")}


def being_written(runs):
    """The names of the checkpoints below `runs` that are not whole."""
    return {path.name for path in runs.glob("*/.writing-*")}


def wait_for_moment(session, kind, runs, generator):
    """Wait until the process is to be killed.

    That is in its first second, or some checkpoints later: in the work after one, or while it writes one.
    """
    if kind == "starting":
        time.sleep(generator.uniform(0, 1))
        return
    for _ in range(generator.randint(1, 4)):
        before = checkpoints_seen(runs)
        session.wait_until(lambda: checkpoints_seen(runs) - before)  # noqa: B023 - called at once
    if kind == "writing":
        session.wait_until(lambda: being_written(runs))
        time.sleep(generator.uniform(0, 0.001))
    else:
        session.wait_until(lambda: not being_written(runs))
        time.sleep(generator.uniform(0, 0.005))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_killed_at_ten_random_moments(tmp_path):
    place, generator = Place(tmp_path), random.Random(11)
    whole = place.uninterrupted(epochs=EPOCHS).run.rename(tmp_path / "whole")
    arguments = ["--layers", place.layers, "--params", place.params, "--data", place.data, "--epochs", EPOCHS,
                 "--save-path", place.runs]  # fmt: skip
    saved, moments = 0, []
    for kind in KINDS:
        left = being_written(place.runs)
        session = Session(arguments, tmp_path / "output.txt")
        wait_for_moment(session, kind, place.runs, generator)
        session.kill()
        (run,) = place.runs.iterdir()
        done = Checkpoint.load(run).state.minibatches_done  # reading it shows that it is whole
        assert done > saved if kind != "starting" else done >= saved
        saved, arguments = done, ["--checkpoint", run]
        moments.append("writing" if being_written(place.runs) - left else "working")
    assert moments.count("writing") >= 2, f"the kills did not hit the writing of checkpoints: {moments}"
    assert moments.count("working") >= 1, f"the kills did not hit the work between checkpoints: {moments}"
    session = Session(arguments, tmp_path / "output.txt")
    assert session.process.wait(PATIENCE) == 0, session.output.read_text()
    assert newest(run).name == newest(whole).name
    assert files_of(run) == files_of(whole)
