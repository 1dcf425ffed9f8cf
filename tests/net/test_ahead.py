"""The process that compiles kernels ahead, in a user's cache that is empty."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from convnet.net import ahead

_CODE = """
import numpy as np
from numba.core import event
from convnet.backends import DeviceOptions, open_device
from convnet.net import ConvNet
from convnet.net.ahead import compile_ahead
from convnet.training.options import merged
from convnet.training.session import describe_shapes, read_files

files = read_files("lenet5", None)
options = merged(files.options)
graph = files.graph(describe_shapes(options), options["classes"])
devices = [open_device(DeviceOptions("cpu", threads=1, tune=False))]
process = compile_ahead(graph, devices)
assert process is not None and process.wait() == 0
assert compile_ahead(graph, devices) is None, "all is there"

compiled = []

class Listener(event.Listener):
    def on_start(self, event):
        compiled.append(event.data["dispatcher"].py_func)
    def on_end(self, event):
        pass

event.register("numba:compile", Listener())
net = ConvNet(graph, devices, mini=4)
net.train_minibatch([np.zeros((4, 28, 28, 1), np.float32), np.zeros((4, 1), np.float32)])
own = [function.__qualname__ for function in compiled if function.__module__.startswith("convnet.")]
assert not own, own
"""


def test_what_it_compiles_is_not_compiled_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CODE], env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)}, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_process_that_fails_harms_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Graph:
        """Nothing that a net could be made of."""

        nodes = ()
        parameters = ()

    class Device:
        """One whose kernels are compiled."""

        backend = "cpu"

    monkeypatch.setattr(ahead, "_marks", lambda _graph: [tmp_path / str(i) for i in range(9)])
    monkeypatch.setattr(ahead.pickle, "dumps", lambda _graph: b"no pickle")
    process = ahead.compile_ahead(Graph(), [Device()])  # type: ignore[arg-type, list-item]
    assert process is not None
    assert process.wait() != 0
    assert ahead.compile_ahead(Graph(), [Device()]) is None, "it is not tried again"  # type: ignore[arg-type, list-item]


class Chain:
    """A graph of more nodes than pickle follows."""

    nodes = ()
    parameters = ()
    next: object = None


def test_a_net_too_deep_to_be_passed_on_is_compiled_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Device:
        """One whose kernels are compiled."""

        backend = "cpu"

    chain: object = None
    for _ in range(20000):
        link = Chain()
        link.next, chain = chain, link
    monkeypatch.setattr(ahead, "_marks", lambda _graph: [tmp_path / str(i) for i in range(9)])
    assert ahead.compile_ahead(chain, [Device()]) is None  # type: ignore[arg-type, list-item]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Device:
        """One whose kernels are compiled."""

        backend = "cpu"

    monkeypatch.setattr(ahead, "_marks", lambda _graph: [tmp_path / "gone" / str(i) for i in range(9)])
    assert ahead.compile_ahead(Chain(), [Device()]) is None  # type: ignore[arg-type, list-item]


def test_gpus_have_their_own_way() -> None:
    class Device:
        """One whose kernels nvcc compiles."""

        backend = "cuda"

    assert ahead.compile_ahead(object(), [Device()]) is None  # type: ignore[arg-type, list-item]
