"""How CPU kernels are compiled: numba, without the GIL, cached on disk.

numba notices a change of a kernel's own file, not of the files whose functions it calls. The cache therefore lies in a
folder named by the content of all kernel files.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

from convnet.backends.cache import user_folder

# Contraction gives fused multiply-adds, reassociation lets sums be vectorised. NaN and infinity keep their meaning (a
# diverging net must be seen), and so do division and square root.
FAST_MATH = {"contract", "reassoc", "nsz"}

_OPTIONS: dict[str, Any] = {"fastmath": FAST_MATH, "error_model": "numpy", "boundscheck": False}

Function = TypeVar("Function", bound=Callable[..., object])


@cache
def cache_folder() -> Path:
    """Where compiled kernels are kept; a new folder for each content of the kernel files."""
    package = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    sources = [*package.glob("ops/*/*.py"), *package.glob("backends/cpu/*.py")]
    for source in sorted(file for file in sources if not file.name.startswith("cuda")):
        digest.update(source.read_bytes())
    return user_folder(f"cpu-{digest.hexdigest()[:16]}")


def kernel(function: Function) -> Function:
    """Compile `function` on first call, to run without the GIL; the result is kept on disk."""
    with _kept():
        return cast(Function, numba.njit(nogil=True, cache=True, no_cfunc_wrapper=True, **_OPTIONS)(function))


def inlined(function: Function) -> Function:
    """As `kernel`, for a function that kernels call: it becomes a part of each of them, before that is compiled."""
    return cast(Function, numba.njit(nogil=True, inline="always", **_OPTIONS)(function))


def callback(signature: Any, function: Callable[..., object], name: str) -> Any:
    """Compile `function` at once, to be called by its `address`; the result is kept on disk.

    name: its own among functions that are made at one place. numba keeps those of one name in one index, in which two
    processes that compile at the same time may take each other's place.
    """
    function.__name__ = function.__qualname__ = name
    with _kept():
        return numba.cfunc(signature, nopython=True, cache=True)(function)


@contextmanager
def _kept() -> Iterator[None]:
    """Functions that numba is given meanwhile are kept in this project's folder."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder())
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before
