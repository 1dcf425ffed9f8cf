"""Kernels that this process compiles give the bits of those that another one left on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from convnet.backends.cpu.device import CpuDevice

from .conftest import Run
from .test_contracts import CALLS, arrays_of

ROOT = Path(__file__).resolve().parents[2]


def digests() -> None:
    """Print the results of a call of every operation, as numbers that change with any bit."""
    for name, arguments_of in CALLS.items():
        generator = np.random.default_rng(21)
        arguments, keywords = arguments_of(lambda *shape, r=generator: r.normal(size=shape).astype(np.float32))
        Run(CpuDevice(threads=2), np.dtype(np.float32))(name, *arguments, **keywords)
        print(name, [hash(array.tobytes()) for array in arrays_of(arguments)])


def test_every_operation(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", f"from {__name__} import digests; digests()"]
    anew, kept = (
        subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment).stdout
        for _ in range(2)
    )
    assert len(anew.splitlines()) == len(CALLS)
    assert anew.splitlines() == kept.splitlines()
