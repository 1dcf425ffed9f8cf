"""Where the tests of operations run: on the CPU and on a CUDA device, in every type of numbers that these know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convnet import ops
from convnet.backends import Device, DeviceOptions, open_device


class Run:
    """Runs operations of a device on NumPy arrays, which hold the results afterwards.

    dtype: of activations and their gradients. weights: of weights, biases, their gradients, costs and labels.
    precision: the device's, "" for the CPU.
    """

    def __init__(self, device: Device, dtype: Any, precision: str = "") -> None:
        self.device, self.dtype, self.precision = device, np.dtype(dtype), precision
        self.weights = np.dtype(np.float64 if dtype == np.float64 else np.float32)

    def __call__(self, name: str, *arguments: Any, **keywords: Any) -> None:
        operation, function = name.split(".")
        held: dict[int, tuple[np.ndarray, Any]] = {}
        on_device = [self._to_device(argument, held) for argument in arguments]
        getattr(ops.load(operation, self.device.backend), function)(self.device, *on_device, **keywords)()
        for array, copy in held.values():
            array[...] = self.device.download(copy)

    def _to_device(self, value: Any, held: dict[int, tuple[np.ndarray, Any]]) -> Any:
        """Arrays become arrays of the device: one array given twice, one array there."""
        if isinstance(value, list):
            return [self._to_device(item, held) for item in value]
        if not isinstance(value, np.ndarray):
            return value
        if id(value) not in held:
            block = self.device.allocate(value.nbytes)
            copy = self.device.array(block, 0, value.shape, value.dtype)
            self.device.upload(value, copy)
            held[id(value)] = value, copy
        return held[id(value)][1]


CPU = [pytest.param(("cpu", name), id=f"cpu-{name}") for name in ("float64", "float32")]
FP32, TF32, BF16 = (
    pytest.param(("cuda", name), id=f"cuda-{name}", marks=pytest.mark.gpu) for name in ("fp32", "tf32", "bf16")
)


def _run(variant: tuple[str, str], request: pytest.FixtureRequest) -> Run:
    backend, name = variant
    if backend == "cpu":
        # exact: what is expected is no more than sums of products round; test_conv_winograd.py has the other engine.
        return Run(open_device(DeviceOptions("cpu", threads=2, exact=True)), np.dtype(name))
    device = request.getfixturevalue("cuda_device")(name)
    return Run(device, device.activations, name)


@pytest.fixture(params=[*CPU, FP32, BF16])
def run(request: pytest.FixtureRequest) -> Run:
    """For operations without matrix products, which tf32 leaves as they are."""
    return _run(request.param, request)


@pytest.fixture(params=[*CPU, FP32, TF32, BF16])
def run_products(request: pytest.FixtureRequest) -> Run:
    """For operations with matrix products."""
    return _run(request.param, request)


@pytest.fixture(params=[*CPU, FP32])
def run_exact(request: pytest.FixtureRequest) -> Run:
    """For what needs numbers that bfloat16 does not have."""
    return _run(request.param, request)


@pytest.fixture(params=[False, True], ids=["labels-exact", "labels-as-activations"])
def typed(request: pytest.FixtureRequest, run: Run) -> Any:
    """The two types that targets may have on a GPU."""
    return run.dtype if request.param else run.weights
