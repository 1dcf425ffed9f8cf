"""The processes that decode images: how they start, fail and end, and what becomes of their memory."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from convnet.data import workers
from convnet.data.image_batches import ImageProvider
from convnet.data.provider import ProviderOptions
from convnet.data.worker import _Worker
from convnet.errors import ConvnetError

from .stored_images import stored

ROOT = Path(__file__).resolve().parents[2]
PROMPTLY = 10  # seconds, on a machine that has other work


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return stored(tmp_path_factory.mktemp("stored"), [[(40, 50)] * 300, [(40, 40)] * 3], 40)


@pytest.fixture
def data(source):
    provider = ImageProvider(source, ProviderOptions(crop=32, workers=2))
    yield provider
    provider.close()


def runs(pid):
    """Whether there is such a process, not counting one that has ended and is not waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pids):
    """Whether these processes end soon."""
    end = time.monotonic() + PROMPTLY
    while any(map(runs, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def promptly(call):
    """What a call raises; None if it goes on, and this is not to be found out by a test that never ends."""
    found = []

    def run():
        try:
            call()
        except ConvnetError as error:
            found.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PROMPTLY)
    return found[0] if found else None


def descriptors(pid="self"):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def shared_bytes():
    """The length of the shared memory of all providers."""
    total = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # what listed them was one of them
            if "memfd:convnet-images" in os.readlink(f"/proc/self/fd/{name}"):
                total += os.fstat(int(name)).st_size
    return total


def test_they_start_with_the_first_batch_and_end_on_closing(data):
    before, others, threads = descriptors(), shared_bytes(), threading.active_count()
    reader = data.open_batch(1, 1, 8, train=True)
    pids = data.workers().pids
    assert len(set(pids)) == 2
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    next(reader)
    assert shared_bytes() > others
    data.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert threading.active_count() == threads
    with pytest.raises(ConvnetError, match="the data provider was closed"):
        list(reader)
    with pytest.raises(ConvnetError, match="the data provider was closed"):
        data.open_batch(1, 1, 8, train=True)
    del reader  # Python's mmap keeps a descriptor of its own
    assert descriptors() == before
    data.close()


def test_a_provider_that_is_closed_before_use_stays_closed(data):
    data.close()
    with pytest.raises(ConvnetError, match="the data provider was closed"):
        data.get_batch(1, 1, train=True)


def test_they_end_when_nothing_refers_to_the_provider(source):
    data = ImageProvider(source, ProviderOptions(crop=32, workers=2))
    reader = data.open_batch(1, 1, 8, train=True)
    pids = data.workers().pids
    gc.disable()
    try:
        del data
        assert sum(len(labels) for _, labels in reader) == 300  # a reader needs them
        del reader
        assert gone(pids)
    finally:
        gc.enable()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_process_that_is_killed_is_an_error(data, number):
    reader = data.open_batch(1, 1, 8, train=True)
    next(reader)
    pids = data.workers().pids
    os.kill(pids[1], number)
    for call in (lambda: list(reader), lambda: data.get_batch(1, 1, train=True)):
        assert promptly(call) == f"a process that decodes images was ended by {number.name}"
    assert gone(pids)


def test_a_process_that_is_killed_while_it_is_waited_for(data):
    """Stopped before, so that the wait has surely begun."""
    pids = data.workers().pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (pids[0], signal.SIGKILL)).start()
    reader = data.open_batch(1, 1, 8, train=True)
    assert promptly(lambda: next(reader)) == "a process that decodes images was ended by SIGKILL"
    assert gone(pids)


def test_closing_while_another_thread_waits(data):
    pids = data.workers().pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.3, data.close).start()
    reader = data.open_batch(1, 1, 8, train=True)
    assert promptly(lambda: next(reader)) == "the data provider was closed"


def test_a_process_that_fails_says_why(source, tmp_path, monkeypatch):
    (tmp_path / "simplejpeg.py").write_text("raise ImportError('libjpeg is missing')\n")
    environment = workers._environment()
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"
    monkeypatch.setattr(workers, "_environment", lambda: environment)
    data, before = ImageProvider(source, ProviderOptions(crop=32, workers=2)), descriptors()
    text = "a process that decodes images ended with status 1: ImportError: libjpeg is missing"
    assert promptly(lambda: data.get_batch(1, 1, train=True)) == text
    data.close()
    assert descriptors() == before


@pytest.mark.parametrize("failing", [0, 1])
def test_processes_that_cannot_be_started(source, monkeypatch, failing):
    """The first one, or the second one when the first is there."""
    data, before = ImageProvider(source, ProviderOptions(crop=32, workers=2)), descriptors()
    real, started = subprocess.Popen, []

    def popen(*arguments, **options):
        if len(started) == failing:
            raise OSError(12, "Cannot allocate memory")
        started.append(real(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(ConvnetError, match=r"^worker processes cannot be started: \[Errno 12\] Cannot allocate memory"):
        data.get_batch(1, 1, train=True)
    assert descriptors() == before
    assert all(process.poll() is not None for process in started)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_descriptors_that_cannot_be_had(source, monkeypatch, failing):
    """For the images, and for what the first or the second process writes."""
    data, before = ImageProvider(source, ProviderOptions(crop=32, workers=2)), descriptors()
    real, made = os.memfd_create, []

    def create(name):
        if len(made) == failing:
            raise OSError(24, "Too many open files")
        made.append(name)
        return real(name)

    monkeypatch.setattr(os, "memfd_create", create)
    with pytest.raises(ConvnetError, match=r"^worker processes cannot be started: \[Errno 24\] Too many open files"):
        data.get_batch(1, 1, train=True)
    assert descriptors() == before


def test_memory_that_cannot_be_had(data, monkeypatch):
    data.get_batch(2, 1, train=False)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "ftruncate", full)
    with pytest.raises(ConvnetError, match=r"bytes of shared memory for images cannot be had: .*No space left"):
        data.open_batch(1, 1, 256, train=True)
    assert len(data.get_batch(2, 1, train=False)[1]) == 3


def test_interrupts_are_for_the_main_process(data):
    reader = data.open_batch(1, 1, 8, train=True)
    next(reader)
    for pid in data.workers().pids:
        assert os.getpgid(pid) != os.getpgid(0)  # so Ctrl-C does not reach it, not even while it starts
        os.kill(pid, signal.SIGINT)
    assert sum(len(labels) for _, labels in reader) == 292


SCRIPT = """
import os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from convnet.data.image_batches import ImageProvider
from convnet.data.provider import ProviderOptions
from tests.data.stored_images import stored
source = stored(Path({folder!r}), [[(40, 50)] * 64, [(40, 40)]], 40)
provider = ImageProvider(source, ProviderOptions(crop=32, workers=2))
reader = provider.open_batch(1, 1, 8, train=True)
next(reader)
print(*provider.workers().pids, flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["pass", "os._exit(3)", "os.kill(os.getpid(), 9)", "raise ValueError"])
def test_they_end_with_the_main_process(tmp_path, end):
    """The script has no `if __name__ == '__main__'`: the processes do not run it again."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(root=str(ROOT), folder=str(tmp_path), end=end)],
        capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == {"pass": 0, "os._exit(3)": 3, "raise ValueError": 1}.get(end, -9)
    pids = run.stdout.split()
    assert len(pids) == 2, run.stderr
    assert gone(pids)
    assert ("ValueError" in run.stderr) == ("ValueError" in end)
    assert run.stderr.count("Traceback") == ("ValueError" in end)


def test_nothing_is_left_behind_by_many_readers(data):
    """Half of them are read to the end, half are dropped; the memory is used again."""
    for _ in range(5):
        next(data.open_batch(1, 1, 64, train=True))
    data.get_batch(1, 1, train=True)
    pids = data.workers().pids
    memory, files = shared_bytes(), [descriptors(pid) for pid in ("self", *pids)]
    for epoch in range(50):
        reader = data.open_batch(1, epoch, 64, train=True)
        if epoch % 2:
            list(reader)
        else:
            next(reader)
    del reader
    data.get_batch(1, 1, train=True)
    assert [descriptors(pid) for pid in ("self", *pids)] == files
    assert shared_bytes() <= 2 * memory


def test_work_that_nobody_waits_for_is_not_done(tmp_path):
    memory = os.memfd_create("test")
    os.ftruncate(memory, 4096)
    share = workers.Share(
        first=3, cases=np.array([7]), paths=(str(tmp_path / "none"),), places=np.array([[0, 0, 9]]), size=(2, 2),
        exact=False, mirrored=np.array([False]), words=None, views=(2,), target=64, stride=12, cancelled=1,
    )  # fmt: skip
    worker = _Worker(memory)
    answer = worker.work(5, share)
    assert (answer.task, answer.position) == (5, 3)
    assert answer.error == f"{tmp_path}/none: case 7 of the data batch: cannot be read: No such file or directory"
    os.pwrite(memory, b"\1", 1)
    assert worker.work(5, share).error is None
    os.close(memory)


def test_a_reader_that_is_dropped_marks_its_memory(data):
    for pid in data.workers().pids:
        os.kill(pid, signal.SIGSTOP)
    reader = data.open_batch(1, 1, 8, train=True)
    content = reader._memory
    assert content[0] == 0
    del reader
    assert content[0] == 1


def test_regions_are_used_again_when_free(data):
    crew = data.workers()
    one, first = crew.allocate(5000)
    two, second = crew.allocate(3 * 4096)
    assert (one.start, one.end, two.start, two.end) == (0, 8192, 8192, 20480)
    first[:], second[:] = 1, 2
    assert (first.min(), first.max()) == (1, 1)
    part = first[100:200]
    del first
    assert crew.allocate(4096)[0].start == 20480  # a part is still referred to
    one.shares += 1
    del part
    assert crew.allocate(4096)[0].start == 20480  # a process may write to it
    one.shares -= 1
    (three, _third), (four, _fourth) = crew.allocate(4096), crew.allocate(8192)
    assert (three.start, four.start) == (0, 20480)  # the second does not fit between
    assert second.min() == 2


def test_as_many_as_the_cores_this_process_may_use(source):
    data = ImageProvider(source, ProviderOptions(crop=32))
    assert len(data.workers()) == len(os.sched_getaffinity(0))
    data.close()


@pytest.mark.parametrize("workers", [0, 1025])
def test_a_number_of_workers_out_of_range(workers):
    with pytest.raises(ConvnetError, match=f"workers: expected an integer from 1 to 1024, found {workers}$"):
        ProviderOptions(workers=workers)
