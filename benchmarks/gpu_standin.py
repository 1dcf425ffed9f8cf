"""In the place of PyCUDA, for counting on a machine without a driver: arrays that have an address but no memory.

Import it before anything of convnet.backends.cuda, and in a process that counts and does nothing else.
"""

from __future__ import annotations

import math
import sys
from types import ModuleType
from typing import Any

import numpy as np


class GPUArray:
    """The shape, type and address of an array, with what operations ask of PyCUDA's class."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, gpudata: int = 0, base: Any = None) -> None:
        self.shape, self.dtype, self.ptr, self.base = tuple(shape), np.dtype(dtype), gpudata, base

    @property
    def size(self) -> int:
        """How many numbers."""
        return int(math.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """How many bytes."""
        return self.size * int(self.dtype.itemsize)

    def __len__(self) -> int:
        return self.shape[0]

    def reshape(self, *shape: int) -> GPUArray:
        """The same numbers in another shape; one side may be -1."""
        known = -math.prod(shape) if -1 in shape else 0
        sides = tuple(self.size // known if side == -1 else side for side in shape)
        return GPUArray(sides, self.dtype, self.ptr, self)


def _install() -> None:
    """Nothing of the driver is there: what would call it ends with an AttributeError."""
    package = ModuleType("pycuda")
    parts: dict[str, Any] = {name: ModuleType(f"pycuda.{name}") for name in ("driver", "gpuarray")}
    parts["gpuarray"].GPUArray = GPUArray
    for name, module in parts.items():
        setattr(package, name, module)
        sys.modules[f"pycuda.{name}"] = module
    sys.modules["pycuda"] = package


_install()
