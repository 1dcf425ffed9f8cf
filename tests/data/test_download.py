"""Fetching one file: verified, resumed, from several addresses, and everything that goes wrong on the way."""

import errno
import fcntl
import hashlib
import os
import resource
import socket
from pathlib import Path

import numpy as np
import pytest

from convnet.data.download import RemoteFile, Watcher, download
from convnet.errors import ConvnetError

from .file_server import Answer, serving

CONTENT = np.random.default_rng(5).bytes(1_000_003)
HALF = 400_001
WRONG = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
NAME = "set.tar.gz"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    """The server is on this machine."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server():
    with serving({NAME: CONTENT}) as served:
        yield served


class Told:
    """A watcher that remembers; `interrupt`: after so many bytes, Ctrl-C is pressed."""

    def __init__(self, interrupt=None):
        self.steps, self.lines, self.interrupt = [], [], interrupt

    def watcher(self):
        return Watcher(self.progress, self.lines.append)

    def progress(self, name, done, total):
        assert (name, total) == (NAME, len(CONTENT))
        self.steps.append(done)
        if self.interrupt is not None and done >= self.interrupt:
            raise KeyboardInterrupt


def remote(*addresses):
    return RemoteFile(NAME, len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), addresses)


def fetch(server, folder, told=None, *, address="a", pause=0.0, timeout=10.0):
    addresses = [f"{server.address}/{part}/{NAME}" for part in address.split()]
    return download(remote(*addresses), folder, (told or Told()).watcher(), timeout=timeout, pause=pause)


def refused(server, folder, told=None, **options):
    with pytest.raises(ConvnetError) as caught:
        fetch(server, folder, told, **options)
    assert not (folder / NAME).exists()
    return str(caught.value)


def part(folder):
    return folder / f"{NAME}.part"


def is_right(folder):
    return (folder / NAME).read_bytes() == CONTENT and not part(folder).exists()


def test_a_file_is_fetched_into_a_new_folder(server, tmp_path):
    told, folder = Told(), tmp_path / "new" / "folder"
    assert fetch(server, folder, told) is True
    assert is_right(folder)
    assert told.steps[0] == 0
    assert told.steps[-1] == len(CONTENT)
    assert told.steps == sorted(told.steps)
    assert len(told.steps) > 3
    assert told.lines == []
    assert server.asked == [(f"/a/{NAME}", None)]


def test_what_is_there_and_right_is_not_fetched_again(server, tmp_path):
    fetch(server, tmp_path)
    before = (tmp_path / NAME).stat()
    assert fetch(server, tmp_path) is False
    assert len(server.asked) == 1
    after = (tmp_path / NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("found", [WRONG, CONTENT[:HALF], b""], ids=["content", "short", "empty"])
def test_what_is_there_and_wrong_is_left_alone(server, tmp_path, found):
    (tmp_path / NAME).write_bytes(found)
    with pytest.raises(ConvnetError, match="expected the published file, 1,000,003 bytes") as caught:
        fetch(server, tmp_path)
    assert f"found {len(found):,} bytes with SHA-256 {hashlib.sha256(found).hexdigest()[:16]}" in str(caught.value)
    assert (tmp_path / NAME).read_bytes() == found
    assert server.asked == []


def test_a_part_is_gone_on_with(server, tmp_path):
    part(tmp_path).write_bytes(CONTENT[:HALF])
    told = Told()
    fetch(server, tmp_path, told)
    assert is_right(tmp_path)
    assert server.asked == [(f"/a/{NAME}", f"bytes={HALF}-")]
    assert told.steps[0] == HALF
    assert told.lines == []


def test_a_whole_part_is_only_renamed(server, tmp_path):
    part(tmp_path).write_bytes(CONTENT)
    assert fetch(server, tmp_path) is True
    assert is_right(tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("found", [WRONG, CONTENT + b"more"], ids=["content", "long"])
def test_a_whole_part_that_is_wrong_is_thrown_away(server, tmp_path, found):
    part(tmp_path).write_bytes(found)
    told = Told()
    fetch(server, tmp_path, told)
    assert is_right(tmp_path)
    assert server.asked == [(f"/a/{NAME}", None)]
    assert told.lines == [f"{part(tmp_path)}: not the published file; thrown away"]


def test_a_part_that_turns_out_wrong_is_thrown_away(server, tmp_path):
    part(tmp_path).write_bytes(WRONG[-HALF:])
    told = Told()
    fetch(server, tmp_path, told)
    assert is_right(tmp_path)
    assert [asked for _, asked in server.asked] == [f"bytes={HALF}-", None]
    assert told.lines == [f"{part(tmp_path)}: not the published file; thrown away"]


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    part(tmp_path).write_bytes(CONTENT[:HALF])
    server.answers = [Answer(ranges=False)]
    told = Told()
    fetch(server, tmp_path, told)
    assert is_right(tmp_path)
    assert told.steps[0] == 0
    assert "cannot go on in the middle" in told.lines[0]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_dropped_connection_is_made_again(server, tmp_path, ranges):
    server.answers = [Answer(ends=HALF), Answer(ends=1234), Answer(ranges=ranges)]
    told = Told()
    fetch(server, tmp_path, told)
    assert is_right(tmp_path)
    assert [asked for _, asked in server.asked] == [None, f"bytes={HALF}-", f"bytes={HALF + 1234}-"]
    assert f"the connection ended after {HALF:,} of 1,000,003 bytes; trying again" in told.lines[0]


def test_an_answer_without_length_is_taken(server, tmp_path):
    server.answers = [Answer(told=False)]
    fetch(server, tmp_path)
    assert is_right(tmp_path)


@pytest.mark.parametrize("stalls", [0, HALF])
def test_a_stalled_server_is_given_up_and_asked_again(server, tmp_path, stalls):
    server.answers = [Answer(stalls=stalls)]
    told = Told()
    fetch(server, tmp_path, told, timeout=0.5)
    assert is_right(tmp_path)
    assert server.asked[1][1] == (f"bytes={HALF}-" if stalls else None)
    assert "timed out; trying again" in told.lines[0]


def test_a_server_that_gives_nothing_is_asked_three_times(server, tmp_path):
    server.answers = [Answer(ends=HALF)] + [Answer(ends=0)] * 9
    assert f"the connection ended after {HALF:,} of 1,000,003 bytes" in refused(server, tmp_path)
    assert len(server.asked) == 4
    assert part(tmp_path).read_bytes() == CONTENT[:HALF]


def test_a_server_in_trouble_is_asked_again(server, tmp_path):
    server.answers = [Answer(status=500), Answer(status=503)]
    told = Told()
    fetch(server, tmp_path, told)
    assert is_right(tmp_path)
    assert "the server answers 500 Internal Server Error; trying again" in told.lines[0]
    assert len(server.asked) == 3


def test_pauses_grow(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    server.answers = [Answer(ends=10), Answer(status=500), Answer(status=500)]
    fetch(server, tmp_path, pause=3.0)
    assert pauses == [3, 6, 12]


def test_redirects_are_followed_with_the_range(server, tmp_path):
    part(tmp_path).write_bytes(CONTENT[:HALF])
    server.answers = [Answer(location=f"/elsewhere/{NAME}")]
    fetch(server, tmp_path)
    assert is_right(tmp_path)
    assert server.asked[1] == (f"/elsewhere/{NAME}", f"bytes={HALF}-")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(status=404), "the server answers 404 Not Found"),
        (Answer(status=403), "the server answers 403 Forbidden"),
        (Answer(content=b"<html>Please log in</html>"), "has a file of 26 bytes; expected 1,000,003"),
        (Answer(content=CONTENT + b"!"), "has a file of 1,000,004 bytes; expected 1,000,003"),
        (Answer(content=WRONG + b"!" * 5000, told=False), "gives another file than the published one"),
        (Answer(content=CONTENT + b"!", told=False), "gives another file than the published one"),
        (Answer(content=WRONG), "gives another file than the published one"),
        (Answer(location="file:///etc/passwd"), "the server answers 302 Found"),
    ],
    ids=["404", "403", "page", "longer", "wrong and longer, untold", "longer, untold", "content", "redirect to a file"],
)
def test_the_next_address_is_tried(server, tmp_path, answer, message):
    server.answers = [answer]
    assert message in refused(server, tmp_path)
    assert len(server.asked) == 1
    server.answers = [answer]
    assert fetch(server, tmp_path, address="a b") is True
    assert is_right(tmp_path)
    assert [path for path, _ in server.asked[1:]] == [f"/a/{NAME}", f"/b/{NAME}"]


@pytest.mark.parametrize("answer", [Answer(status=404), Answer(shift=-7), Answer(content=b"short", ranges=False)])
def test_a_part_outlives_an_address_that_fails(server, tmp_path, answer):
    part(tmp_path).write_bytes(CONTENT[:HALF])
    server.answers = [answer]
    fetch(server, tmp_path, address="a b")
    assert is_right(tmp_path)
    assert [asked for _, asked in server.asked] == [f"bytes={HALF}-"] * 2


def test_wrong_content_everywhere_leaves_nothing(server, tmp_path):
    server.files[NAME] = WRONG
    told = Told()
    message = refused(server, tmp_path, told, address="a b")
    assert message.count("gives another file than the published one") == 2
    assert "are kept" not in message
    assert list(tmp_path.iterdir()) == []
    assert len(told.lines) == 2


def test_the_message_says_what_to_do(server, tmp_path):
    part(tmp_path).write_bytes(CONTENT[:HALF])
    server.answers = [Answer(status=404), Answer(status=410)]
    lines = refused(server, tmp_path, address="a b").splitlines()
    assert lines[0] == f"{NAME} cannot be fetched"
    assert lines[1] == f"{server.address}/a/{NAME}: the server answers 404 Not Found"
    assert lines[2] == f"{server.address}/b/{NAME}: the server answers 410 Gone"
    assert f"fetch {server.address}/a/{NAME} by other means and put it into {tmp_path} as {NAME}" in lines[3]
    assert lines[4] == f"The {HALF:,} bytes that came are kept; the same command goes on from there."


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:{port}/x", "no connection: "),
        ("http://127.0.0.1:port/x", "not an address: "),
        ("nothing", "not an address: "),
    ],
)
def test_no_server(tmp_path, address, message):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening
        address = address.format(port=unused.getsockname()[1])
        with pytest.raises(ConvnetError, match=f"(?m)^{address}: {message}"):
            download(remote(address), tmp_path, Watcher(), pause=60)


def test_a_server_that_hangs_up_without_an_answer(server, tmp_path):
    server.answers = [Answer(status=0), Answer(status=0)]
    told = Told()
    fetch(server, tmp_path, told)
    assert is_right(tmp_path)
    assert len(told.lines) == 2
    assert "no answer: Remote end closed connection" in told.lines[0]


def test_ctrl_c_leaves_the_part(server, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path, Told(interrupt=HALF))
    size = part(tmp_path).stat().st_size
    assert HALF <= size < len(CONTENT)
    assert part(tmp_path).read_bytes() == CONTENT[:size]
    fetch(server, tmp_path)
    assert is_right(tmp_path)
    assert server.asked[1][1] == f"bytes={size}-"


def test_a_full_disk(server, tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    part(tmp_path).symlink_to("/dev/full")
    message = refused(server, tmp_path)
    assert message == f"{part(tmp_path)}: cannot be read or written: {os.strerror(errno.ENOSPC)}"
    assert len(server.asked) == 1


def test_a_disk_that_takes_a_part_of_what_is_written(server, tmp_path):
    """What it took counts, and is gone on from."""
    room = len(CONTENT) - 10
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        assert os.strerror(errno.EFBIG) in refused(server, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert part(tmp_path).read_bytes() == CONTENT[:room]
    fetch(server, tmp_path)
    assert is_right(tmp_path)
    assert [asked for _, asked in server.asked] == [None, f"bytes={room}-"]


def test_a_folder_that_cannot_be(server, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("n" * 300)):
        with pytest.raises(ConvnetError, match="cannot be read or written"):
            fetch(server, folder)
    part(tmp_path).mkdir()
    assert "Is a directory" in refused(server, tmp_path)
    assert server.asked == []


def test_a_folder_that_may_not_be_written(server, tmp_path):
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("root may write everywhere")
        assert "Permission denied" in refused(server, tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_two_processes_do_not_mix(server, tmp_path):
    with part(tmp_path).open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert refused(server, tmp_path) == f"{part(tmp_path)}: another process is fetching this file"
    assert server.asked == []
    fetch(server, tmp_path)
    assert is_right(tmp_path)
