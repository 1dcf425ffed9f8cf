"""Operations: one folder each, with the contract in `__init__.py` and one file per backend (`cpu.py`, later `cuda.py`).

Every operation is a function that takes the device first, then arrays, then parameters. It does not compute: it checks
and prepares, and returns a `Launch`, a function without arguments that computes each time it is called. A plan is a
list of such launches.

Arrays hold cases along their first axis and are C-contiguous. Feature maps lie as (case, y, x, channel), everything
else as (case, feature). All arrays of one call have the same type, float32 or float64.

`accumulate` in a contract means: add to what the target holds, instead of overwriting it.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def load(operation: str, backend: str) -> ModuleType:
    """The module that implements `operation` on `backend`, imported on first use."""
    return importlib.import_module(f"convnet.ops.{operation}.{backend}")
