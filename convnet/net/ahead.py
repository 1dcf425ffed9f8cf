"""Compiling CPU kernels ahead: on a new machine, by a second process while the first one begins a net.

numba compiles one function at a time in a process. Before a net is trained that has types of layers which never ran on
this machine, another process makes the steps of its training once, with a single case and from the last to the first,
and what it compiles lies on disk when the first process comes to it. Nothing depends on it: if the process fails, the
first one compiles all by itself.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from convnet.backends import Device, DeviceOptions, open_devices
from convnet.backends.cache import is_temporary
from convnet.graph.layer_graph import LayerGraph
from convnet.net.convnet import ConvNet
from convnet.plan.bind import Launch
from convnet.plan.step import Step

_FEW = 3  # types that the first process compiles as fast by itself
_LARGE = 1 << 27  # weights, of which the process would take up memory that is wanted elsewhere


def compile_ahead(graph: LayerGraph, devices: Sequence[Device]) -> subprocess.Popen[bytes] | None:
    """Start the process if there is enough to compile for the CPU; it takes the net through its standard input."""
    if devices[0].backend != "cpu" or sum(parameter.matrix.size for parameter in graph.parameters) > _LARGE:
        return None
    marks = [mark for mark in _marks(graph) if not mark.exists()]
    if len(marks) <= _FEW or is_temporary(marks[0].parent):
        return None
    try:
        net = pickle.dumps(graph)
        for mark in marks:  # first, lest a process that fails is started again and again
            mark.touch()
        process = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-c", f"from {__name__} import compile_given; compile_given()"], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    # A net of hundreds of layers, or with something of a user's that cannot be passed on; no folder, no more processes.
    except (RecursionError, pickle.PicklingError, AttributeError, TypeError, OSError):
        return None
    threading.Thread(target=_tell, args=(process, net), name="ahead", daemon=True).start()
    return process


def _tell(process: subprocess.Popen[bytes], net: bytes) -> None:
    """Give the process its net; and wait for its end, for the system keeps what nobody has waited for."""
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            pipe.write(net)
    except OSError:  # it has ended already
        pass
    process.wait()


def compile_given() -> None:
    """What the process does."""
    graph: LayerGraph = pickle.load(sys.stdin.buffer)  # noqa: S301 - from `compile_ahead`
    devices = open_devices(DeviceOptions("cpu", threads=1, tune=False), graph.devices)
    program = ConvNet(graph, devices, mini=1, initial=False).bound.program(training=True, cases=1).copy()
    program.reverse()
    program.sort(key=_late)
    for _, launch in program:
        launch()
    for device in devices:
        device.finish()


def _late(step: tuple[Step, Launch]) -> bool:
    """Whether a step comes after the others: the first process begins with convolutions, whose engines it times."""
    return step[0].operation.startswith("conv.")


def _marks(graph: LayerGraph) -> list[Path]:
    """Empty files among the compiled kernels, one for each type of layer, that are there when it was compiled."""
    from convnet.backends.cpu.jit import cache_folder

    return [cache_folder() / f"ahead-{kind}" for kind in sorted({node.layer.type for node in graph.nodes})]
