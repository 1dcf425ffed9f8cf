"""What binding a plan to a device refuses, before anything has run."""

import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.errors import ConvnetError
from convnet.net import ConvNet
from tests.net.nets import graph_of

from .test_steps import LAYERS, PARAMS


class Other(CpuDevice):
    """A device of a backend that has no operations."""

    backend = "other"


def test_an_operation_that_a_backend_lacks_is_told_with_its_layer():
    """It never runs elsewhere."""
    graph = graph_of(LAYERS, PARAMS, image=(3, 7, 5))
    with pytest.raises(ConvnetError, match=r"^layer 'conv' cannot run on other: conv\.fprop is not there for it$"):
        ConvNet(graph, Other(threads=1), mini=6, initial=False)


def test_what_an_operation_itself_fails_to_import_is_no_missing_operation(monkeypatch):
    def load(operation, backend):
        raise ModuleNotFoundError("No module named 'something'", name="something")

    monkeypatch.setattr("convnet.plan.bind.ops.load", load)
    with pytest.raises(ModuleNotFoundError, match="something"):
        ConvNet(graph_of(LAYERS, PARAMS, image=(3, 7, 5)), CpuDevice(threads=1), mini=6, initial=False)
