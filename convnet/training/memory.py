"""What a net needs of a device's memory, and the largest minibatch that fits. Nothing here allocates anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from convnet.backends import WORKSPACE, Device
from convnet.errors import ConvnetError, DeviceMemoryError
from convnet.graph.layer_graph import LayerGraph
from convnet.net import ConvNet
from convnet.ops.dropout import Counter
from convnet.plan.build import build_plan, layouts
from convnet.plan.describe import weight_bytes
from convnet.plan.memory import peak
from convnet.plan.step import Plan


@dataclass(frozen=True)
class NetMemory:
    """Bytes that a net takes to be trained with minibatches of `mini` cases.

    weights: with increments, gradients and rounded copies. activations: with their gradients. inputs: minibatches on
    their way to the device. workspace: room for operations, about. peak: where most activations are held at once.
    """

    mini: int
    weights: int
    activations: int
    inputs: int
    workspace: int
    peak: str

    @property
    def held(self) -> int:
        """What is known exactly: all but the workspace."""
        return self.weights + self.activations + self.inputs

    @property
    def needed(self) -> int:
        """All of it."""
        return self.held + self.workspace

    def __str__(self) -> str:
        """In words."""
        parts = ", ".join(f"{name} {megabytes(getattr(self, name))}" for name in _PARTS)
        return f"{megabytes(self.needed)} MB ({parts}; most in {self.peak})"


_PARTS = ("weights", "activations", "inputs", "workspace")


def megabytes(size: int) -> str:
    """Bytes in units of 10^6, with one decimal."""
    return f"{size / 1e6:,.1f}"


def net_memory(
    graph: LayerGraph, mini: int, device: Device, workspace: int = 0, *, numbers: Sequence[int] = (0,),
    pixels: bool = False,
) -> NetMemory:  # fmt: skip
    """What training a net takes of the memory of a device of this kind.

    workspace: bytes known to be needed for it. numbers: those that the net's `gpu` keys give the device. pixels: images
    come as Pixels.
    """
    where, types = layouts(graph), device.types(np.dtype(np.float32))
    plan = build_plan(graph, where, mini=mini, seed=0, counter=Counter(), types=types, pixels=pixels)
    weights = sum(weight_bytes(where[number], types) for number in numbers if number in where)
    activations = sum(plan.arenas.get(number, 0) for number in numbers)
    inputs = sum(_inputs(plan, device, number) for number in numbers)
    workspace = max(workspace, min((weights + activations + inputs) // 8, len(numbers) * WORKSPACE))
    return NetMemory(mini, weights, activations, inputs, workspace, _peak(plan, numbers))


def _inputs(plan: Plan, device: Device, number: int) -> int:
    """A device that is given work ahead of time keeps each minibatch outside the plan's memory until its turn."""
    rooms = device.ahead + 1 if device.ahead else 0
    given = [items for portions in plan.inputs.values() for items in portions.items()]
    own = [tensor for portion, tensors in given for tensor in tensors if portion.device == number]
    return rooms * sum(plan.types.size(tensor.memory, plan.most_cases) for tensor in own)


def _peak(plan: Plan, numbers: Sequence[int]) -> str:
    own = [memory for memory in plan.memories if memory.device in numbers]
    step = peak(own, plan.train, plan.most_cases, plan.types)
    return f"{step.phase} of layer '{step.layer}'" if step.layer else step.phase


def advice(largest: int) -> str:
    """What to do about a net's need of memory, if the largest minibatch that fits has so many cases."""
    return f"the largest --mini that fits is {largest}" if largest else "not even --mini 1 fits"


def largest_mini(
    graph: LayerGraph, device: Device, room: int, *, below: int | None = None, workspace: int = 0,
    numbers: Sequence[int] = (0,), pixels: bool = False,
) -> int:  # fmt: skip
    """The most cases of a minibatch with which a net takes no more than `room` bytes of a device; 0 if one takes more.

    below: look for fewer cases than that only. workspace, numbers, pixels: as in `net_memory`.
    """
    fits, exceeds = 0, below
    while exceeds is None or exceeds - fits > 1:
        tried = (fits + exceeds) // 2 if exceeds else max(1, 2 * fits)
        if net_memory(graph, tried, device, workspace, numbers=numbers, pixels=pixels).needed <= room:
            fits = tried
        else:
            exceeds = tried
    return fits


def check_memory(graph: LayerGraph, mini: int, devices: Sequence[Device], *, pixels: bool = False) -> None:
    """Check that a net fits before anything is allocated, if the devices tell how much is free.

    pixels: as in `net_memory`.

    Raises:
        ConvnetError: if it cannot fit, with what it needs and the largest minibatch that fits.
    """
    for name, (device, numbers) in _by_name(devices).items():
        free = device.free_memory()
        if free is not None and net_memory(graph, mini, device, numbers=numbers, pixels=pixels).held > free:
            raise too_large(graph, mini, devices, name, pixels=pixels)


def _by_name(devices: Sequence[Device]) -> dict[str, tuple[Device, list[int]]]:
    """The devices with the numbers that they have in the net's `gpu` keys; one GPU may stand for several."""
    found: dict[str, tuple[Device, list[int]]] = {}
    for number, device in enumerate(devices):
        found.setdefault(str(device), (device, []))[1].append(number)
    return found


@contextmanager
def need_told(net: ConvNet) -> Iterator[None]:
    """Where operations ask in vain for room to work in, tells what the whole net needs.

    Raises:
        ConvnetError: then, with the largest minibatch that fits.
    """
    try:
        yield
    except DeviceMemoryError as error:
        pixels = net.mean is not None
        raise too_large(
            net.graph, net.mini, net.devices, error.device, workspace=error.needed, pixels=pixels
        ) from None  # fmt: skip


def too_large(
    graph: LayerGraph, mini: int, devices: Sequence[Device], full: str, *, workspace: int = 0, pixels: bool = False
) -> ConvnetError:
    """The error for a net that does not fit into what is free on the device of this name.

    workspace: bytes that an operation asked for in vain, when the net had its own memory already. pixels: as in
    `net_memory`.
    """
    device, numbers = _by_name(devices)[full]
    found = net_memory(graph, mini, device, workspace, numbers=numbers, pixels=pixels)
    free = (device.free_memory() or 0) + (found.held if workspace else 0)
    largest = largest_mini(graph, device, free, below=mini, workspace=workspace, numbers=numbers, pixels=pixels)
    room = f"{megabytes(free)} MB are free for it"
    return ConvnetError(f"{device}: with --mini {mini} the net needs {found}; {room}; {advice(largest)}")


def describe_memory(graph: LayerGraph, mini: int, devices: Sequence[Device]) -> list[dict[str, Any]]:
    """What a net needs of each device, as plain values for JSON.

    `free` and `largest_mini` are None where a device does not tell. The images are taken to come ready: as Pixels they
    take less of a GPU.
    """
    return [_describe_memory(graph, mini, device, numbers) for device, numbers in _by_name(devices).values()]


def _describe_memory(graph: LayerGraph, mini: int, device: Device, numbers: Sequence[int]) -> dict[str, Any]:
    free = device.free_memory()
    return {
        "device": str(device), "mini": mini, "free": free,
        "needed": net_memory(graph, mini, device, numbers=numbers).needed,
        "largest_mini": None if free is None else largest_mini(graph, device, free, numbers=numbers),
    }  # fmt: skip
