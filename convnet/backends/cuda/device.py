"""A CUDA device: its context, memory, streams and kernels."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pycuda.driver as cuda
from pycuda.gpuarray import GPUArray

from convnet.backends.cuda import toolkit
from convnet.backends.cuda.capabilities import TENSOR_CORE_CAPABILITY
from convnet.backends.cuda.kernels import Call, Kernel, Kernels, Launch
from convnet.backends.cuda.transfers import End, Feeder, Fetches, PeerCopy, Room
from convnet.backends.launches import Passing, in_turn
from convnet.errors import ConvnetError, DeviceMemoryError
from convnet.tensor import NumberTypes

__all__ = ["CudaDevice", "GPUArray", "Launch"]

Array = np.ndarray[Any, Any]
THREADS = 256  # in a block, where nothing asks for another number


class CudaDevice:
    """One GPU, in its primary context.

    Work goes into one stream, in order. precision: "fp32" (all in float32), "tf32" (matrix products on tensor cores,
    operands rounded to 10 bits of mantissa) or "bf16" (activations and their gradients held in bfloat16); weights and
    sums are float32 in all of them. tune: whether operations time the ways they know and take the fastest.

    Raises:
        ConvnetError: if there is no such GPU, or it does not know the precision.
    """

    backend = "cuda"
    ahead = 1

    def __init__(self, index: int = 0, precision: str = "fp32", *, tune: bool = True) -> None:
        self.index, self.precision, self.tune = index, precision, tune
        gpu = self._gpu = _gpu(index)
        self.name = gpu.name()
        self.processors = gpu.get_attribute(cuda.device_attribute.MULTIPROCESSOR_COUNT)
        major, minor = gpu.compute_capability()
        self.capability = 10 * major + minor
        if precision != "fp32" and self.capability < TENSOR_CORE_CAPABILITY:
            needs = f"needs compute capability {TENSOR_CORE_CAPABILITY / 10}"
            raise ConvnetError(f"{self}: --precision {precision} {needs}, the GPU has {self.capability / 10}")
        self.activations = np.dtype(ml_dtypes.bfloat16 if precision == "bf16" else np.float32)
        toolkit.require_nvcc()  # better now than at the first launch
        with self._errors_told():
            self._context = gpu.retain_primary_context()
            self.activate()
            self.stream, self._upload_stream = cuda.Stream(), cuda.Stream()
        self.kernels = Kernels(self.capability)
        self._fetches = Fetches(self.stream)
        self.workspace = Workspace(self)
        self.blas: Any = None  # what cuBLAS needs on this device, made when it is first used

    def __str__(self) -> str:
        return f"cuda:{self.index}"

    def activate(self) -> None:
        """Make this device's context the current one of this thread."""
        _current.set(self._context)

    def types(self, weights: np.dtype[Any]) -> NumberTypes:
        """Weights in float32, activations as the precision says.

        Raises:
            ConvnetError: if weights are to be anything else.
        """
        if weights != np.float32:
            raise ConvnetError(f"{self}: GPUs compute in float32, found {weights}; use --device cpu")
        return NumberTypes(weights, self.activations)

    def allocate(self, size: int) -> Any:
        """A block of `size` zeroed bytes of this device's memory.

        Raises:
            DeviceMemoryError: if there is not so much.
        """
        self.activate()
        size = max(size, 1)
        try:
            block = cuda.mem_alloc(size)
        except cuda.MemoryError:
            raise DeviceMemoryError(str(self), size, cuda.mem_get_info()[0]) from None
        cuda.memset_d8_async(block, 0, size, self.stream)
        return block

    def free_memory(self) -> int:
        """Bytes of this device's memory that nobody has taken."""
        self.activate()
        return int(cuda.mem_get_info()[0])

    def array(self, block: Any, offset: int, shape: tuple[int, ...], dtype: Any) -> GPUArray:
        """The array of this shape and type that begins `offset` bytes into a block."""
        return GPUArray(shape, dtype, gpudata=int(block) + offset, base=block)

    def table(self, values: Array) -> GPUArray:
        """The numbers, in memory of their own on this device: constants of an operation.

        Raises:
            DeviceMemoryError: if there is no room for them.
        """
        array = self.array(self.allocate(values.nbytes), 0, values.shape, values.dtype)
        self.upload(values, array)
        return array

    def upload(self, source: Array, target: GPUArray) -> None:
        """Copy a host array into an array of this device, converting its type; waits until it is there."""
        self.activate()
        values = np.ascontiguousarray(source, target.dtype)
        with self._errors_told():
            cuda.memcpy_htod_async(target.ptr, values, self.stream)
            self.stream.synchronize()

    def download(self, source: GPUArray) -> Array:
        """A copy of an array of this device in the host's memory, after all work given so far."""
        self.activate()
        values = np.empty(source.shape, source.dtype)
        with self._errors_told():
            cuda.memcpy_dtoh_async(values, source.ptr, self.stream)
            self.stream.synchronize()
        return values

    def feeder(self, size: int) -> Feeder:
        """A way for arrays of at most `size` bytes into the device's memory, beside the work it does.

        Raises:
            DeviceMemoryError: if there is no room for it.
        """
        self.activate()
        blocks = [self.allocate(size) for _ in range(self.ahead + 1)]
        with self._errors_told():
            rooms = [Room(block, size, self.stream) for block in blocks]
        return Feeder(rooms, self.stream, self._upload_stream, self.activate)

    def fetch(self, source: GPUArray) -> Callable[[], Array]:
        """Begin a download; the returned function waits for it."""
        self.activate()
        with self._errors_told():
            return self._fetches.begin(source)

    def finish(self) -> None:
        """Wait for all work given so far."""
        self.activate()
        with self._errors_told():
            self.stream.synchronize()

    def in_turn(self, launch: Launch) -> Launch:
        """The launch itself: the stream keeps the order."""
        return launch

    def joined(self, launches: Sequence[Launch], passing: Sequence[Passing] = ()) -> Launch:
        """One launch that makes these, one behind the other, and writes all arrays."""
        return in_turn(launches)

    def receive(self, sender: CudaDevice, source: GPUArray, target: GPUArray) -> Launch:
        """A launch that copies an array of another device; both work in its order with what they were given."""
        self._reach(sender)
        copy = PeerCopy(End(sender.stream, sender.activate), End(self.stream, self.activate))

        def launch() -> None:
            with self._errors_told():
                copy.run(source, target)

        return launch

    def _reach(self, other: CudaDevice) -> None:
        """Let copies from another GPU take the direct way, where there is one."""
        if not self._gpu.can_access_peer(other._gpu):
            return
        self.activate()
        try:
            self._context.enable_peer_access(other._context)
        except cuda.LogicError as error:
            if "ALREADY_ENABLED" not in str(error) and "already enabled" not in str(error):
                raise ConvnetError(f"{self}: {error}") from error

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        """Turns the driver's errors into ours: a GPU that is full, that another process has for itself, that failed."""
        try:
            yield
        except cuda.Error as error:
            raise ConvnetError(f"{self}: {error}") from error

    def kernel(self, source: Path, name: str, **defines: int) -> Kernel:
        """A kernel of a .cu file, compiled for this device."""
        return self.kernels.get(source, name, **defines)

    def call(
        self, kernel: Kernel, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any, shared: int = 0
    ) -> Launch:
        """A launch of a kernel; arguments as `Call` takes them. shared: bytes of dynamic shared memory."""
        call = Call(kernel, _three(grid), _three(block), arguments, shared)

        def launch() -> None:
            self.activate()
            try:
                call.launch(self.stream)
            except cuda.Error as error:
                raise ConvnetError(f"{self}: kernel {kernel.name}: {error}") from error

        return launch

    def per_item(self, kernel: Kernel, items: int, *arguments: Any) -> Launch:
        """A launch of one thread for each of `items` items, and some threads more: kernels check."""
        return self.call(kernel, (max(1, -(-items // THREADS)),), (THREADS,), *arguments)

    def packs(self, size: int) -> int:
        """How many 16-byte accesses `size` activations take."""
        return -(-size * self.activations.itemsize // 16)

    @property
    def act(self) -> dict[str, int]:
        """The macro that tells kernels the type of activations."""
        return {"ACT_BF16": int(self.precision == "bf16")}


class Workspace:
    """Scratch memory that operations of one device take turns to use: as large as the largest request."""

    def __init__(self, device: CudaDevice) -> None:
        self._device = weakref.proxy(device)  # a cycle would leave the device to the garbage collector, in any thread
        self._size = 0
        self._held: Any = None
        self._room = 0

    def reserve(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Callable[[], GPUArray]:
        """Ask for room; the returned function gives the array, whose content is arbitrary, when called at run time."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        self._size = max(self._size, size)

        def array() -> GPUArray:
            if self._room < self._size:
                self._held = None  # first: there may be no room for both
                self._held = self._device.allocate(self._size)
                self._room = self._size
            return self._device.array(self._held, 0, shape, dtype)

        return array


class _Current(threading.local):
    """Which context is this thread's current one: changing it takes microseconds, asking here does not."""

    context: Any = None

    def set(self, context: Any) -> None:
        if self.context is not context:
            self.clear()
            context.push()
            self.context = context

    def clear(self) -> None:
        if self.context is not None:
            self.context.pop()
            self.context = None


_current = _Current()
# PyCUDA ends the process with an error if a context is still current when its module goes away.
atexit.register(_current.clear)


def _gpu(index: int) -> Any:
    """PyCUDA's device.

    Raises:
        ConvnetError: if there is no such GPU or no driver.
    """
    try:
        cuda.init()
        count = cuda.Device.count()
    except cuda.Error as error:
        raise ConvnetError(f"cuda:{index}: no GPU can be used: {error}; `convnet devices` tells more") from None
    if index >= count:
        raise ConvnetError(f"cuda:{index}: there are {count} GPUs; `convnet devices` lists them")
    return cuda.Device(index)


def _three(sizes: tuple[int, ...]) -> tuple[int, int, int]:
    x, y, z = (*sizes, 1, 1, 1)[:3]
    return x, y, z
