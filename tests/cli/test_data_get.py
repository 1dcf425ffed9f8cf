"""`convnet data get`: fetching, going on, what is said; from a server on this machine."""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from convnet.data import published as table
from tests.data.file_server import Answer, serving
from tests.data.test_published import small

from .conftest import convnet


@pytest.fixture
def mnist(folder, monkeypatch):
    """A server of a small MNIST, which the table tells of instead of the real one."""
    monkeypatch.setenv("no_proxy", "*")
    published, contents = small("mnist", folder / "made")
    monkeypatch.setitem(table.PUBLISHED, "mnist", published)
    with serving(contents) as server:
        yield server


def get(server, *arguments, **options):
    return convnet("data", "get", "mnist", "--from", server.address, *arguments, **options)


def test_without_a_name_the_sets_are_listed(folder):
    output = convnet("data", "get").stdout
    assert re.findall(r"^\S+", output, re.MULTILINE) == ["cifar10", "cifar100", "mnist", "fashion-mnist"]
    assert "10 classes (170 MB)" in output
    assert "https://www.cs.toronto.edu/~kriz/cifar.html" in output
    assert list(folder.iterdir()) == []


def test_help_names_every_set():
    output = convnet("data", "get", "--help").output
    assert all(re.search(rf"(?<![\w-]){name}(?![\w-])", output) for name in table.PUBLISHED)
    assert "convnet train --layers lenet5 --data data/mnist" in output
    assert max(map(len, output.splitlines())) <= 80


def test_a_set_is_fetched_and_the_next_command_told(mnist):
    result = get(mnist)
    *files, last = result.stdout.splitlines()
    assert files == [
        f"data/mnist/{name}: fetched and right, {len(mnist.files[name]):,} bytes"
        for name in (file.name for file in table.PUBLISHED["mnist"].files)
    ]
    assert last == "train on it: convnet train --layers lenet5 --data data/mnist"
    assert result.stderr == ""
    assert {file.name: file.read_bytes() for file in Path("data/mnist").iterdir()} == mnist.files


@pytest.mark.parametrize("name", table.PUBLISHED)
def test_what_it_tells_to_do_works(folder, monkeypatch, name):
    monkeypatch.setenv("no_proxy", "*")
    published, contents = small(name, folder / "made")
    monkeypatch.setitem(table.PUBLISHED, name, published)
    with serving(contents) as server:
        told = convnet("data", "get", name, "--from", server.address, "--to", "my data").stdout.splitlines()[-1]
    words = shlex.split(told.partition(": convnet ")[2])
    assert words[-1].startswith("my data")
    assert "epoch 1/1" in convnet(*words, "--epochs", "1", "--threads", "1").stdout


def test_a_second_time_nothing_is_fetched(mnist):
    get(mnist)
    asked = len(mnist.asked)
    assert get(mnist).stdout.count("there already, and right") == 4
    assert len(mnist.asked) == asked


def test_a_part_is_gone_on_with_and_trouble_is_said(mnist):
    Path("there").mkdir()
    name = "train-images-idx3-ubyte.gz"
    Path("there", f"{name}.part").write_bytes(mnist.files[name][:100])
    mnist.answers = [Answer(ranges=False)]
    result = get(mnist, "--to", "there")
    assert "the server cannot go on in the middle of a file; from the beginning" in result.stderr
    assert mnist.asked[0] == (f"/{name}", "bytes=100-")
    assert Path("there", name).read_bytes() == mnist.files[name]


def test_a_server_that_has_it_not(mnist):
    mnist.answers = [Answer(status=404)]
    result = get(mnist, code=2)
    lines = result.stderr.splitlines()
    address = f"{mnist.address}/train-images-idx3-ubyte.gz"
    assert lines[0] == "convnet: train-images-idx3-ubyte.gz cannot be fetched"
    assert lines[1] == f"{address}: the server answers 404 Not Found"
    assert f"fetch {address} by other means and put it into data/mnist" in lines[2]
    assert result.stdout == ""


def test_a_wrong_file_that_is_there_is_left_alone(mnist):
    Path("data/mnist").mkdir(parents=True)
    mine = Path("data/mnist/t10k-labels-idx1-ubyte.gz")
    mine.write_text("mine")
    assert "move it away, or choose another folder" in get(mnist, code=2).stderr
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imagenet"], "expected one of cifar10, cifar100, mnist, fashion-mnist; found 'imagenet'"),
        (["mnist", "--from", "somewhere"], "expected an http or https address, such as"),
        (["mnist", "fashion-mnist"], "unexpected extra argument (fashion-mnist)"),
    ],
)
def test_wrong_usage(folder, arguments, message):
    result = convnet("data", "get", *arguments, code=2)
    assert message in result.stderr
    assert list(folder.iterdir()) == []


# A program of its own, with the small set in the table's place.
PROGRAM = textwrap.dedent("""
    import sys
    from dataclasses import replace
    from convnet.data import published
    from convnet_cli import main
    files = published.PUBLISHED["mnist"].files
    table = dict(line.split() for line in open("sums"))
    files = tuple(
        replace(file, size=int(table[file.name].split(",")[0]), sha256=table[file.name].split(",")[1]) for file in files
    )
    published.PUBLISHED["mnist"] = replace(published.PUBLISHED["mnist"], files=files)
    main(["data", "get", "mnist", "--from", sys.argv[1]])
""")


def start(server, **options):
    lines = [f"{file.name} {file.size},{file.sha256}\n" for file in table.PUBLISHED["mnist"].files]
    Path("sums").write_text("".join(lines))
    return subprocess.Popen([sys.executable, "-c", PROGRAM, server.address], **options)


def test_ctrl_c_leaves_what_came(mnist):
    name = "train-images-idx3-ubyte.gz"
    mnist.answers = [Answer(stalls=1000)]
    process = start(mnist, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    part = Path("data/mnist", f"{name}.part")
    while process.poll() is None and not (part.exists() and part.stat().st_size == 1000):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err.splitlines()[0] == "stopped; the same command goes on from here"
    assert "Traceback" not in err
    assert part.read_bytes() == mnist.files[name][:1000]
    assert "fetched and right" in get(mnist).stdout
    assert mnist.asked[1] == (f"/{name}", "bytes=1000-")


def test_a_bar_on_a_terminal(mnist):
    leader, follower = pty.openpty()
    mnist.answers = [Answer(ends=4000)]
    with start(mnist, stdout=subprocess.PIPE, stderr=follower) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                shown += os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
        process.stdout.read()
    os.close(leader)
    assert process.returncode == 0
    assert "train-images-idx3-ubyte.gz, kB" in shown.decode()
    assert "4,000 of" in " ".join(shown.decode().split())
