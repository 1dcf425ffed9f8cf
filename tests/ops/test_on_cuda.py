"""What holds for every operation on a CUDA device: the CPU's signature, the CPU's results, the same bits each time."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager

import numpy as np
import pytest

from convnet import ops
from convnet.backends import DeviceOptions, open_device

from .conftest import Run
from .test_contracts import CALLS, FUNCTIONS, HELPERS, arrays_of

pytestmark = pytest.mark.gpu
PUBLIC = sorted(set(FUNCTIONS) - HELPERS)


@pytest.fixture
def cuda(cuda_device) -> Run:
    device = cuda_device("fp32")
    return Run(device, device.activations, "fp32")


def results(run: Run, name: str) -> list[np.ndarray]:
    """All arrays of the call CALLS[name] after it, those that it reads too."""
    generator = np.random.default_rng(21)
    arguments, keywords = CALLS[name](lambda *shape: generator.normal(size=shape).astype(np.float32))
    run(name, *arguments, **keywords)
    return arrays_of(arguments)


@pytest.mark.parametrize("name", PUBLIC)
def test_the_signature_is_the_cpus(cuda: Run, name: str) -> None:
    operation, function = name.split(".")
    mine, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(each).parameters.values()]
        for each in (getattr(ops.load(operation, "cuda"), function), FUNCTIONS[name])
    )
    assert mine == theirs


@pytest.mark.parametrize("name", PUBLIC)
def test_results_are_the_cpus_and_repeat_bit_for_bit(
    cuda: Run, orders: list[AbstractContextManager[None]], name: str
) -> None:
    """Sums of at most 701 products of about 1 differ by their rounding: 701 * 2^-24 * the mean of their sizes, 0.64."""
    expected = results(Run(open_device(DeviceOptions("cpu", threads=2)), np.float32), name)
    found = results(cuda, name)
    for array, other in zip(expected, found, strict=True):
        scale = np.abs(array).max()
        np.testing.assert_allclose(other, array, rtol=2e-5, atol=max(2e-6 * scale, 3e-5))
    for order in orders:
        with order:
            again = results(cuda, name)
        assert [array.tobytes() for array in again] == [array.tobytes() for array in found]
