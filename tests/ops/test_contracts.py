"""What holds for every operation: how its functions look, and that the number of threads does not change a bit.

An operation is found by its folder; a new one fails here until each of its functions has a call in CALLS.
"""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import convnet.ops
from convnet.backends.cpu.device import Array, CpuDevice, Launch
from convnet.backends.cpu.team import TeamLaunch
from convnet.ops.blur import Blur
from convnet.ops.cmpool import ChannelWindows
from convnet.ops.conv import ConvGeometry
from convnet.ops.dropout import Counter
from convnet.ops.local import LocalGeometry
from convnet.ops.neuron import NeuronFunction
from convnet.ops.pool import PoolGeometry
from convnet.ops.rnorm import Normalization
from convnet.ops.sample import SampleGeometry
from convnet.shape import Maps

OPERATIONS = sorted(path.parent.name for path in Path(convnet.ops.__file__).parent.glob("*/__init__.py"))

# Public functions that are not operations themselves: without a device, without a launch, or for other operations.
HELPERS = {
    "bias.sum_rows",
    "matmul.tile",
}

THREADS = (1, 2, 3, 5)


def functions(operation: str) -> dict[str, FunctionType]:
    """The public functions that an operation's cpu.py defines, by "operation.function"; kernels are not functions."""
    module = convnet.ops.load(operation, "cpu")
    return {
        f"{operation}.{name}": function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


FUNCTIONS = {name: function for operation in OPERATIONS for name, function in functions(operation).items()}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_contract_is_written(operation: str) -> None:
    contract = importlib.import_module(f"convnet.ops.{operation}").__doc__
    assert contract is not None
    assert len(contract.splitlines()) > 3


def test_every_helper_exists() -> None:
    assert set(FUNCTIONS) >= HELPERS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_are_documented_and_typed(name: str) -> None:
    function = FUNCTIONS[name]
    assert function.__doc__
    assert set(typing.get_type_hints(function)) == {*inspect.signature(function).parameters, "return"}


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - HELPERS))
def test_operations_take_a_device_and_return_a_launch(name: str) -> None:
    hints = typing.get_type_hints(FUNCTIONS[name])
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    assert next(iter(parameters)) == "dev"
    assert hints["dev"] is CpuDevice
    assert hints["return"] == Launch
    if "accumulate" in parameters:
        assert parameters["accumulate"].kind is inspect.Parameter.KEYWORD_ONLY


Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Numbers = Callable[..., Array]  # shape -> normal numbers


def call(*arguments: Any, **keywords: Any) -> Arguments:
    """What follows the device in a call."""
    return arguments, keywords


MAPS = Maps(6, 13, 11)
X, Y = (13, 13, 11, 6), (13, 7, 6, 10)
CONV = ConvGeometry(MAPS, 10, 3, 1, 2, 2, 7, 6)
LOCAL = LocalGeometry(MAPS, 10, 3, 1, 2, 2, 7, 6)
POOL = PoolGeometry(MAPS, 3, 2, -1, 7, 6)
POOLED = (13, 7, 6, 6)
SAMPLE, SAMPLED = SampleGeometry(MAPS, 1, 9, 3, -2, 4, 5), (13, 4, 5, 6)
CONNECTIONS = np.random.default_rng(3).permuted(np.tile(np.arange(9), (4, 1)), axis=1).reshape(-1)
CHANNELS = ChannelWindows(3, 2, -1)
NORM = Normalization(4, 0.9, 0.75, 1.5)
TANH, LOGISTIC = NeuronFunction("tanh", 1.7, 0.6), NeuronFunction("logistic")
KEEP = {"keep": 0.4, "scale": 2.5, "seed": 2**40 + 1, "stream": 3}
SEGMENTS = np.array([[1, 30000], [30007, 50021]], np.int64)
RATES = np.array([[0.1, 0.9, 0.3, 1 / 7, 0], [0.3, 0.5, 0.0, 1.0, 1]])


def labels(r: Numbers, classes: int) -> Array:
    """Whole numbers 0..classes - 1, (7, 1)."""
    numbers: Array = np.floor(np.abs(r(7, 1)) * 10) % classes
    return numbers


def chances(r: Numbers, classes: int) -> Array:
    """Numbers strictly between 0 and 1, (7, classes)."""
    numbers: Array = 1 / (1 + np.exp(-r(7, classes)))
    return numbers


def pixels(r: Numbers, *shape: int) -> Array:
    """Bytes."""
    return (np.abs(r(*shape) * 100) % 256).astype(np.uint8)


# One call of each operation on numbers from `r`, large enough to be cut for five threads.
CALLS: dict[str, Callable[[Numbers], Arguments]] = {
    "bce.fprop": lambda r: call(chances(r, 67), chances(r, 67), r(7, 3), pos_weight=2.5),
    "bce.fprop_counts": lambda r: call(chances(r, 67), chances(r, 67), r(7, 203), pos_weight=2.5),
    "bce.bprop": lambda r: call(chances(r, 67), chances(r, 67), r(7, 67), coeff=0.7, pos_weight=2.5, accumulate=True),
    "bce.bprop_logistic": lambda r: call(
        chances(r, 67), chances(r, 67), r(7, 67), coeff=0.7, pos_weight=2.5, accumulate=True
    ),
    "bnorm.fprop_train": lambda r: call(
        r(701, 307), r(701, 307), *[r(307) for _ in range(4)], r(2, 307), eps=0.1, momentum=0.7, neuron=TANH
    ),
    "bnorm.fprop_test": lambda r: call(
        r(701, 307), r(701, 307), *[np.abs(r(307)) for _ in range(4)], eps=0.1, neuron=TANH
    ),
    "bnorm.bprop_sums": lambda r: call(r(701, 307), r(701, 307), r(2, 307), r(2, 307), r(307), r(307), accumulate=True),
    "bnorm.bprop_acts": lambda r: call(
        r(701, 307), r(701, 307), r(307), r(2, 307), r(2, 307), r(701, 307), accumulate=True
    ),
    "bias.bprop": lambda r: call(r(13, 47, 5123), r(5123), accumulate=True),
    "blur.apply": lambda r: call(r(*X), r(*X), Blur(5, 1.3), accumulate=True),
    "channels.gather": lambda r: call(r(701, 9), r(701, 36), connections=CONNECTIONS),
    "channels.scatter": lambda r: call(r(701, 36), r(701, 9), connections=CONNECTIONS, accumulate=True),
    "cmpool.fprop_max": lambda r: call(r(*X), r(13, 13, 11, 4), CHANNELS),
    "cmpool.bprop_max": lambda r: call(
        r(13, 13, 11, 4), r(*X).round(), r(13, 13, 11, 4).round(), r(*X), CHANNELS, accumulate=True
    ),
    "cmrnorm.fprop": lambda r: call(r(*X), r(*X), NORM),
    "cmrnorm.bprop": lambda r: call(r(*X), r(*X), r(*X), NORM, accumulate=True),
    "cnorm.fprop": lambda r: call(r(*X), r(*X), NORM),
    "cnorm.bprop": lambda r: call(r(*X), r(*X), r(*X), NORM, accumulate=True),
    "concat.fprop": lambda r: call(r(701, 37), r(701, 131), offset=50),
    "concat.bprop": lambda r: call(r(701, 131), r(701, 37), offset=50, accumulate=True),
    "conv.fprop": lambda r: call(r(*X), r(27, 10), r(10), r(*Y), CONV, accumulate=True, neuron=TANH),
    "conv.bprop_acts": lambda r: call(r(*Y), r(27, 10), r(*X), CONV, accumulate=True),
    "conv.bprop_weights": lambda r: call(r(*X), r(*Y), r(27, 10), CONV, accumulate=True),
    "cauchy.fprop": lambda r: call(r(7, 67), r(7, 67), r(7, 1)),
    "cauchy.bprop": lambda r: call(r(7, 67), r(7, 67), r(7, 67), coeff=0.7, accumulate=True),
    "crossent.fprop": lambda r: call(chances(r, 67), chances(r, 67), r(7, 2)),
    "crossent.bprop": lambda r: call(chances(r, 67), chances(r, 67), r(7, 67), coeff=0.7, accumulate=True),
    "crossent.bprop_softmax": lambda r: call(chances(r, 67), chances(r, 67), r(7, 67), coeff=0.7, accumulate=True),
    "dropout.apply": lambda r: call(r(*X), r(*X), **KEEP, counter=Counter(8), accumulate=True),
    "eltwise.scale": lambda r: call(r(7, 9001), r(7, 9001), coeff=0.3, accumulate=True),
    "eltwise.fprop_sum": lambda r: call([r(7, 9001), r(7, 9001), r(7, 9001)], r(7, 9001), coeffs=[0.3, -1.7, 0.9]),
    "eltwise.fprop_max": lambda r: call([r(7, 9001), r(7, 9001), r(7, 9001)], r(7, 9001)),
    "eltwise.bprop_max": lambda r: call(
        r(7, 9001), r(7, 9001).round(), r(7, 9001).round(), r(7, 9001), accumulate=True
    ),
    "layout.convert": lambda r: call(r(*X), MAPS, r(13, 858), None, accumulate=True),
    "local.fprop": lambda r: call(r(*X), r(42 * 27, 10), r(420), r(*Y), LOCAL, accumulate=True, neuron=TANH),
    "local.bprop_acts": lambda r: call(r(*Y), r(42 * 27, 10), r(*X), LOCAL, accumulate=True),
    "local.bprop_weights": lambda r: call(r(*X), r(*Y), r(42 * 27, 10), LOCAL, accumulate=True),
    "logreg.fprop": lambda r: call(labels(r, 67), np.abs(r(7, 67)), r(7, 3), topk=5, smoothing=0.1),
    "logreg.bprop": lambda r: call(
        labels(r, 67), np.abs(r(7, 67)), r(7, 67), coeff=0.7, smoothing=0.1, accumulate=True
    ),
    "logreg.bprop_softmax": lambda r: call(
        labels(r, 67), np.abs(r(7, 67)), r(7, 67), coeff=0.7, smoothing=0.1, accumulate=True
    ),
    "matmul.fprop": lambda r: call(r(131, 701), r(701, 603), r(603), r(131, 603), accumulate=True, neuron=TANH),
    "matmul.bprop_acts": lambda r: call(r(131, 603), r(701, 603), r(131, 701), accumulate=True),
    "matmul.bprop_weights": lambda r: call(r(131, 701), r(131, 603), r(701, 603), accumulate=True),
    "neuron.fprop": lambda r: call(r(7, 11, 13, 37), r(7, 11, 13, 37), LOGISTIC),
    "neuron.bprop": lambda r: call(r(7, 11, 13, 37), r(7, 11, 13, 37), r(7, 11, 13, 37), LOGISTIC, accumulate=True),
    "pixels.normalize": lambda r: call(pixels(r, *X), r(*X[1:]), r(13, 6), r(*X)),
    "pool.fprop_maxabs": lambda r: call(r(*X), r(*POOLED), POOL),
    "pool.fprop_sum": lambda r: call(r(*X), r(*POOLED), POOL),
    "pool.bprop_sum": lambda r: call(r(*POOLED), r(*X), POOL, accumulate=True),
    "pool.fprop_max": lambda r: call(r(*X), r(*POOLED), POOL),
    "pool.bprop_max": lambda r: call(r(*POOLED), r(*X).round(), r(*POOLED).round(), r(*X), POOL, accumulate=True),
    "pool.fprop_avg": lambda r: call(r(*X), r(*POOLED), POOL),
    "pool.bprop_avg": lambda r: call(r(*POOLED), r(*X), POOL, accumulate=True),
    "resize.fprop": lambda r: call(r(*X), r(13, 9, 7, 6), scale=1.4),
    "resize.random_crop": lambda r: call(r(*X), r(13, 8, 8, 6), seed=2**40 + 1, stream=3, counter=Counter(8)),
    "rgb.to_yuv": lambda r: call(r(13, 13, 11, 3), r(13, 13, 11, 3)),
    "rgb.to_lab": lambda r: call(r(13, 13, 11, 3), r(13, 13, 11, 3), center=True),
    "rnorm.fprop": lambda r: call(r(*X), r(*X), NORM),
    "rnorm.bprop": lambda r: call(r(*X), r(*X), r(*X), NORM, accumulate=True),
    "sample.fprop": lambda r: call(r(*X), r(*SAMPLED), SAMPLE),
    "sample.bprop": lambda r: call(r(*SAMPLED), r(*X), SAMPLE, accumulate=True),
    "softmax.fprop": lambda r: call(r(7, 1003), r(7, 1003)),
    "softmax.bprop": lambda r: call(r(7, 1003), r(7, 1003), r(7, 1003), accumulate=True),
    "sum2.fprop": lambda r: call(r(7, 1003), r(7, 1)),
    "sum2.bprop": lambda r: call(r(7, 1003), r(7, 1003), coeff=0.3, accumulate=True),
    "flat.add": lambda r: call(r(50030), r(50030)),
    "flat.clear": lambda r: call(r(50030)),
    "update.momentum": lambda r: call(r(50030), r(50030), r(50030), offsets=SEGMENTS, rates=RATES),
    "update.wcnorm": lambda r: call(r(21, 643), low=0.205, high=0.215),
    "update.wball": lambda r: call(r(21, 643), limit=2.0, exact=False, modules=3),
}


class Recorder(CpuDevice):
    """A device that notes into how many items its work can be cut."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads=threads)
        self.items: list[int] = []

    def parallel(self, kernel: Callable[..., None], items: int, *arguments: Any, **how: Any) -> TeamLaunch:
        self.items.append(items)
        return super().parallel(kernel, items, *arguments, **how)


def arrays_of(arguments: tuple[Any, ...]) -> list[Array]:
    """All arrays of a call, those in lists too."""
    found = [item for argument in arguments for item in (argument if isinstance(argument, list) else [argument])]
    return [item for item in found if isinstance(item, np.ndarray)]


def run(name: str, dev: CpuDevice) -> tuple[list[bytes], list[bytes]]:
    """The bits of all arrays of the call CALLS[name] before and after its launch."""
    generator = np.random.default_rng(21)
    arguments, keywords = CALLS[name](lambda *shape: generator.normal(size=shape).astype(np.float32))
    arrays = arrays_of(arguments)
    before = [array.tobytes() for array in arrays]
    FUNCTIONS[name](dev, *arguments, **keywords)()
    return before, [array.tobytes() for array in arrays]


def test_every_operation_has_a_call() -> None:
    assert set(CALLS) == set(FUNCTIONS) - HELPERS


@pytest.mark.parametrize("name", CALLS)
def test_threads_do_not_change_a_bit(name: str) -> None:
    devices = [Recorder(threads) for threads in THREADS]
    results = [run(name, dev) for dev in devices]
    before, expected = results[0]
    assert before != expected
    assert all(after == expected for _, after in results)
    assert max(devices[-1].items) >= THREADS[-1], "the call is too small to be cut for all threads"
