"""Work that is stopped goes on, whatever stopped it, and ends in the same bytes."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from convnet.errors import ConvnetError
from tests.data.makers import write_folder
from tests.data.photographs import photograph_files

from .running import files_of, made

FILES = {**photograph_files(range(21)), "cat/bad.jpg": b"", "temple/bad.jpg": b"no image"}

# What takes its place in order: the plan; 6 segments, each of 2 files; 3 batches, each with its record; index,
# statistics, bad images, batches.json; the folder of the work.
PLACES = 1 + 2 * 6 + 2 * 3 + 4 + 1

# Makes batches in child processes, each killed when a number of files have taken their places. First every process goes
# on where the last one ended; then for each number another folder is begun, and finished by a process that lives.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from tests.data.making.running import made
source, folder = Path(sys.argv[1]), Path(sys.argv[2])
replace = os.replace

def run(target, limit=None):
    def counted(*paths):
        nonlocal limit
        if not limit:
            os.kill(os.getpid(), signal.SIGKILL)
        limit -= 1
        replace(*paths)
    pid = os.fork()
    if not pid:
        if limit is not None:
            os.replace = counted
        made(source, target)
        os._exit(0)
    return os.waitpid(pid, 0)[1]

statuses = [run(folder / "stepwise", 5) for _ in range(6)]
assert statuses == [signal.SIGKILL] * 5 + [0], statuses
for limit in range(int(sys.argv[3])):
    assert run(folder / str(limit), limit) == signal.SIGKILL
    assert run(folder / str(limit)) == 0
assert run(folder / "whole", int(sys.argv[3])) == 0
"""


@pytest.fixture
def source(tmp_path):
    return write_folder(tmp_path / "photographs", FILES)


@pytest.fixture
def undisturbed(source, tmp_path):
    made(source, tmp_path / "undisturbed")
    return files_of(tmp_path / "undisturbed")


def stopping_at(count, error):
    """Progress that raises after so many images."""

    def progress(stage, done, total):
        nonlocal count
        count -= 1
        if not count:
            raise error

    return progress


def test_killed_at_every_file(source, undisturbed, tmp_path):
    folder = tmp_path / "killed"
    folder.mkdir()
    command = [sys.executable, "-c", SCRIPT, str(source), str(folder), str(PLACES)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert run.returncode == 0, run.stderr
    assert len(list(folder.iterdir())) == PLACES + 2
    for target in folder.iterdir():
        assert files_of(target) == undisturbed, target.name


@pytest.mark.parametrize("count", range(1, 48, 5))
def test_interrupted(source, undisturbed, tmp_path, count):
    with pytest.raises(KeyboardInterrupt):
        made(source, tmp_path / "made", stopping_at(count, KeyboardInterrupt()))
    assert not (tmp_path / "made" / "batches.json").exists()
    made(source, tmp_path / "made", workers=1)
    assert files_of(tmp_path / "made") == undisturbed


def test_whole_segments_and_batches_are_not_done_again(source, tmp_path):
    def counts(count):
        seen = []
        stop = stopping_at(count, KeyboardInterrupt())

        def progress(stage, done, total):
            seen.append((stage, done))
            stop(stage, done, total)

        with pytest.raises(KeyboardInterrupt):
            made(source, tmp_path / "made", progress)
        return seen

    assert counts(11)[-1] == ("reading images", 11)
    assert counts(14)[0] == ("reading images", 9)  # two segments of 4 are there
    again = counts(17)
    assert again[0] == ("reading images", 21)
    seen = []
    made(source, tmp_path / "made", lambda *step: seen.append(step))
    assert {stage for stage, _, _ in seen} == {"writing batches"}
    assert ("writing batches", 5, 21) not in seen  # the first batch is there


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"size": 30}, "was begun with size 32, now it is 30"),
        ({"quality": 80}, "was begun with quality 90, now it is 80"),
        ({"square": True}, "was begun with square False, now it is True"),
        ({"seed": 1}, "was begun with seed 0, now it is 1"),
        ({"batch_size": 11}, "was begun with batch size 10, now it is 11"),
        ({"test_share": 0.3}, "was begun with test share None, now it is 0.3"),
    ],
)
def test_other_options_do_not_go_on(source, tmp_path, options, text):
    with pytest.raises(KeyboardInterrupt):
        made(source, tmp_path / "made", stopping_at(9, KeyboardInterrupt()))
    with pytest.raises(ConvnetError, match=f"{tmp_path / 'made'}: the work there {text}"):
        made(source, tmp_path / "made", **options)


def test_another_source_does_not_go_on(source, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        made(source, tmp_path / "made", stopping_at(9, KeyboardInterrupt()))
    other = write_folder(tmp_path / "other", FILES)
    with pytest.raises(ConvnetError, match=f"begun with folder {source}, now it is {other}"):
        made(other, tmp_path / "made")
    (source / "cat" / "new.jpg").write_bytes(b"")
    with pytest.raises(ConvnetError, match="begun with names "):
        made(source, tmp_path / "made")


def test_what_is_finished_is_left_alone(source, tmp_path, undisturbed):
    with pytest.raises(ConvnetError, match="holds finished data batches; expected an empty folder or a new one"):
        made(source, tmp_path / "undisturbed", seed=3)
    assert files_of(tmp_path / "undisturbed") == undisturbed


def test_a_folder_with_other_things_is_left_alone(source, tmp_path):
    write_folder(tmp_path / "made", {"thesis.txt": b"words"})
    with pytest.raises(ConvnetError, match="expected an empty folder or a new one, found thesis"):
        made(source, tmp_path / "made")
    assert files_of(tmp_path / "made") == {"thesis.txt": b"words"}
    with pytest.raises(ConvnetError, match=r"thesis\.txt: data batches cannot be written"):
        made(source, tmp_path / "made" / "thesis.txt")


def test_two_processes_at_once(source, undisturbed, tmp_path):
    held, go_on = threading.Event(), threading.Event()

    def progress(stage, done, total):
        held.set()
        assert go_on.wait(60)

    first = threading.Thread(target=made, args=(source, tmp_path / "made", progress))
    first.start()
    try:
        assert held.wait(60)
        with pytest.raises(ConvnetError, match="another process is making data batches in this folder"):
            made(source, tmp_path / "made")
    finally:
        go_on.set()
        first.join()
    assert files_of(tmp_path / "made") == undisturbed


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, of 96 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can only be had by a user who may mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(source, undisturbed, disk):
    """At each of the points where the room ends: one message, and with more room the work goes on."""
    for pages in range(2, 52, 4):
        subprocess.run(["mount", "-o", f"remount,size={4 * pages}k", str(disk)], check=True)
        with pytest.raises(ConvnetError, match=f"{disk}/made: data batches cannot be written: .*No space left on dev"):
            made(source, disk / "made")
    subprocess.run(["mount", "-o", "remount,size=9000k", str(disk)], check=True)
    made(source, disk / "made")
    assert files_of(disk / "made") == undisturbed
