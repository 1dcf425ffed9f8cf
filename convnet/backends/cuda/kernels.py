"""Kernels of a device: compiled in the background, loaded when first launched."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pycuda.driver as cuda
from pycuda.gpuarray import GPUArray

from convnet.backends.cuda.compiler import compile_kernels

_STATIC_SHARED = 48 << 10  # bytes of shared memory that a kernel may have without asking for more


@dataclass
class Module:
    """The kernels of one .cu file, compiled for one device with one set of macros."""

    code: Future[bytes]

    @cached_property
    def loaded(self) -> Any:
        """PyCUDA's module, in the context that is current; waits for the compiler."""
        return cuda.module_from_buffer(self.code.result())


class Kernels:
    """Compiles and keeps the modules of one device."""

    def __init__(self, capability: int) -> None:
        self._capability = capability
        self._modules: dict[tuple[Path, frozenset[tuple[str, int]]], Module] = {}
        self._compilers = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="nvcc")

    def get(self, source: Path, name: str, **defines: int) -> Kernel:
        """The kernel `name` of a .cu file, compiled with these macros, in the background from now on."""
        key = (source, frozenset(defines.items()))
        if key not in self._modules:
            self._modules[key] = Module(self._compilers.submit(compile_kernels, source, defines, self._capability))
        return Kernel(self._modules[key], name)


@dataclass
class Kernel:
    """One kernel of a module."""

    module: Module
    name: str

    @cached_property
    def function(self) -> Any:
        """PyCUDA's function."""
        return self.module.loaded.get_function(self.name)

    def attribute(self, name: str) -> int:
        """One of the numbers that the compiler or the driver knows of it, such as "NUM_REGS"."""
        value: int = self.function.get_attribute(getattr(cuda.function_attribute, name))
        return value


@dataclass
class Call:
    """A kernel with its grid and arguments: what one launch repeats.

    Arguments: arrays, None (a null pointer), whole numbers (int), floating ones (float), NumPy scalars (their own
    type), bytes (a struct, all of 32-bit numbers), or functions that give one of these, called at each launch.
    """

    kernel: Kernel
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    arguments: tuple[Any, ...]
    shared: int = 0
    _late: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._late = [place for place, argument in enumerate(self.arguments) if callable(argument)]

    @cached_property
    def _prepared(self) -> tuple[Any, list[Any]]:
        """The function with its arguments' types, and the arguments as it takes them."""
        values = [argument() if callable(argument) else argument for argument in self.arguments]
        function = self.kernel.module.loaded.get_function(self.kernel.name)
        function.prepare([_format(value) for value in values])
        if self.shared > _STATIC_SHARED:
            function.set_attribute(cuda.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES, self.shared)
        return function, [_plain(value) for value in values]

    def launch(self, stream: Any) -> None:
        """Put the kernel into the stream."""
        function, values = self._prepared
        for place in self._late:
            values[place] = _plain(self.arguments[place]())
        function.prepared_async_call(self.grid, self.block, stream, *values, shared_size=self.shared)


def _format(value: Any) -> Any:
    """The type of an argument as PyCUDA's `prepare` takes it."""
    if value is None or isinstance(value, GPUArray):
        return "P"
    if isinstance(value, bytes):
        return f"{len(value)}s"
    if isinstance(value, np.generic):
        return value.dtype
    return "i" if isinstance(value, int) else "f"


def _plain(value: Any) -> Any:
    if value is None:
        return 0
    return value.ptr if isinstance(value, GPUArray) else value


Launch = Callable[[], None]
