"""What tests of convolutions share: arrays, and how far results may be off, by counting roundings; nothing is tuned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.conv import ConvGeometry

from .conftest import Run

# What one rounding is off by, of a number of size 1. bfloat16: where results are stored in it.
_UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8}
# What is lost of a tf32 operand by rounding it to nearest, and by cuBLAS, which does not say whether it rounds.
_TF32 = 2.0**-11
CUBLAS_TF32 = 2.0**-10

Reference = Callable[..., np.ndarray]


def device(threads: int = 2) -> CpuDevice:
    """A device whose workspace holds NaN, as another operation might leave it."""
    dev = CpuDevice(threads=threads)
    dev.workspace.reserve((1 << 19,), np.float64)()[:] = np.nan
    return dev


def arrays(g: ConvGeometry, dtype: Any = "float64", n: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, w, y of normal numbers."""
    rng = np.random.default_rng(n)
    shapes = ((n, g.maps.y, g.maps.x, g.maps.channels), (g.rows, g.filters), (n, g.modules_y, g.modules_x, g.filters))
    x, w, y = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    return x, w, y


class Expected:
    """A result in float64, and for each number the sum of the sizes of all that was added up to make it."""

    def __init__(self, reference: Reference, a: np.ndarray, b: np.ndarray, g: ConvGeometry, terms: int) -> None:
        self.value = reference(a, b, g)
        self.products = self.size = reference(np.abs(a), np.abs(b), g)
        self.terms = terms

    def add(self, numbers: np.ndarray) -> None:
        """Add what was there before, or biases."""
        self.value = self.value + numbers.astype(np.float64)
        self.size = self.size + np.abs(numbers.astype(np.float64))
        self.terms += 1


def check(
    run: Run, found: np.ndarray, expected: Expected, function: Callable[[Any], Any] = lambda v: v, *,
    tf32: float = _TF32, stored_between: bool = False,
) -> None:  # fmt: skip
    """Compare with function(expected); the function must be nowhere steeper than 1 and take few roundings.

    Each addition may be off by one rounding of the sum so far; tensor cores may cut off instead, which is twice that.
    Products of bfloat16 numbers are exact in float32. stored_between: before the last addition and the function.
    """
    unit = _UNIT[run.weights.name] * (2 if run.precision in ("tf32", "bf16") else 1)
    operands = 2 * tf32 + tf32**2 if run.precision == "tf32" else 0.0
    value = function(expected.value)
    allowed = expected.products * operands + expected.size * (expected.terms + 4) * unit
    if found.dtype != run.weights:
        allowed += (np.abs(value) + allowed + stored_between * expected.size) * _UNIT[found.dtype.name]
    assert found.shape == value.shape
    off = np.abs(found.astype(np.float64) - value)
    wrong = ~(off <= allowed)  # NaN is wrong
    assert not wrong.any(), f"{wrong.sum()} of {wrong.size}, by {off[wrong][:5]} where {allowed[wrong][:5]} are allowed"
