"""Backends: devices, their memory, and how kernels are loaded. Imported when a device is opened, not before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from convnet.backends.launches import Passing
from convnet.errors import ConvnetError
from convnet.tensor import NumberTypes

WORKSPACE = 256 << 20  # bytes that an operation takes for itself at most, unless one case needs more
PRECISIONS = ("fp32", "tf32", "bf16")


class Feeder(Protocol):
    """Brings one minibatch after the other to a device."""

    def send(self, source: Any, target: Any) -> None:
        """As `upload`, but work given before may go on meanwhile; `source` may change once this has returned."""


class Device(Protocol):
    """What nets need of a device of any backend; operations of a backend know more of their own devices.

    Blocks of memory and arrays are the backend's own types. Work given to a device is done in the order it is given;
    `download` waits for all of it.
    """

    backend: str  # the name of the modules that implement operations on it
    index: int
    ahead: int  # minibatches to give to it beyond the one whose results are waited for; 0: launches read what changes
    # between minibatches (rates, counters) when they are run, not when they are given

    def types(self, weights: Any) -> NumberTypes:
        """What it holds numbers in if weights are of this type.

        Raises:
            ConvnetError: if it does not know that type.
        """

    def allocate(self, size: int) -> Any:
        """A block of `size` zeroed bytes.

        Raises:
            DeviceMemoryError: if there is not so much.
        """

    def free_memory(self) -> int | None:
        """Bytes of memory that nobody has taken; None where that is the operating system's affair."""

    def array(self, block: Any, offset: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """The array of this shape and type that begins `offset` bytes into a block."""

    def upload(self, source: Any, target: Any) -> None:
        """Copy a NumPy array into an array of the device, converting its type."""

    def download(self, source: Any) -> Any:
        """A copy of an array of the device, as a NumPy array."""

    def feeder(self, size: int) -> Feeder:
        """A way for arrays of at most `size` bytes to the device, beside the work that it does.

        Raises:
            DeviceMemoryError: if there is no room for it.
        """

    def fetch(self, source: Any) -> Callable[[], Any]:
        """Begin a download; the returned function waits for it and gives the copy."""

    def finish(self) -> None:
        """Wait for all work given so far; raises what went wrong with it."""

    def in_turn(self, launch: Callable[[], None]) -> Callable[[], None]:
        """What gives the device this launch, to be done after all work given before it."""

    def joined(self, launches: Sequence[Callable[[], None]], passing: Sequence[Passing] = ()) -> Callable[[], None]:
        """One launch that does these, each given by `in_turn` or `receive`, one behind the other.

        passing: arrays of which nobody asks afterwards what they hold, with the numbers of the launches that use them.
        """

    def receive(self, sender: Any, source: Any, target: Any) -> Callable[[], None]:
        """A launch that copies an array of another device of this backend into one of this device.

        Both devices do it in its order with the work that they were given.
        """


@dataclass(frozen=True)
class DeviceOptions:
    """Where a net is to run, and how.

    name: "cpu", "cuda", "cuda:1", or "auto" for the first GPU, or the CPU where there is none. gpus: for a net on
    several devices the GPU that each number of its `gpu` keys means; one may stand there twice. A CPU takes the place
    of as many devices as the net asks for. threads: of the CPU.
    precision: of a GPU; the CPU knows only "fp32". tune: whether the ways there are to compute a layer are timed, once,
    and the fastest taken; otherwise they are chosen by rule, the same on every device of a kind. exact: whether the CPU
    does without Winograd's convolution, which rounds more.
    """

    name: str = "auto"
    threads: int | None = None
    precision: str = "fp32"
    tune: bool = True
    gpus: tuple[int, ...] | None = None
    exact: bool = False

    @property
    def number(self) -> int | None:
        """How many devices there are for a net on several; None for as many as it asks for."""
        return len(self.gpus) if self.gpus else None


def open_device(options: DeviceOptions) -> Device:
    """Open one device; as `open_devices`."""
    return open_devices(options, 1)[0]


def open_devices(options: DeviceOptions, number: int) -> list[Device]:
    """Open as many devices as a net runs on.

    Raises:
        ConvnetError: if there are no such devices; others are never taken instead.
    """
    kind, _, index = options.name.partition(":")
    if options.name not in ("auto", "cpu", "cuda") and not (kind == "cuda" and index.isdecimal()):
        found = f"found '{options.name}'"
        raise ConvnetError(f"--device: expected auto, cpu, cuda or a GPU by its number, such as cuda:1, {found}")
    if options.precision not in PRECISIONS:
        raise ConvnetError(f"--precision: expected {', '.join(PRECISIONS)}, found '{options.precision}'")
    if index and (options.gpus or number > 1):
        raise ConvnetError(f"--device {options.name} names one GPU; several are named by --device cuda --gpu 0,1,...")
    if options.gpus and len(options.gpus) < number:
        raise ConvnetError(f"--gpu: expected {number} devices, as many as the net runs on, found {len(options.gpus)}")
    if kind == "cuda" or (kind == "auto" and gpus_usable()):
        first = int(index or 0)
        return _open_gpus((options.gpus or range(first, first + number))[:number], options)
    if options.precision != "fp32":
        raise ConvnetError(f"--precision: the CPU computes in fp32, found '{options.precision}'")
    return _open_cpu(options, number)


def _open_cpu(options: DeviceOptions, number: int) -> list[Device]:
    """The CPU, or as many devices as asked for that share its threads."""
    # Importing numba takes longer than most commands: only those that compute pay for it.
    from convnet.backends.cpu.device import CpuDevice, available_cores

    if number == 1:
        return [CpuDevice(threads=options.threads, tune=options.tune, exact=options.exact)]
    share = max(1, (options.threads or available_cores()) // number)
    return [
        CpuDevice(index, share, beside=True, tune=options.tune, exact=options.exact) for index in range(number)
    ]  # fmt: skip


def _open_gpus(gpus: Sequence[int], options: DeviceOptions) -> list[Device]:
    try:
        return [_open_cuda(gpu, options) for gpu in gpus]
    except ConvnetError as error:
        if len(gpus) == 1 or options.gpus:
            raise
        numbers = ",".join(["0"] * len(gpus))
        hint = f"--gpu {numbers} puts all on one GPU, --device cpu lets the CPU stand for them"
        raise ConvnetError(f"{error}; the net runs on {len(gpus)} devices: {hint}") from None


def _open_cuda(index: int, options: DeviceOptions) -> Device:
    try:
        from convnet.backends.cuda.device import CudaDevice
    except ImportError as error:
        raise ConvnetError(f"cuda:{index}: {error}; `convnet devices` tells what is missing") from None
    return CudaDevice(index, options.precision, tune=options.tune)


def gpus_usable() -> bool:
    """Whether a GPU, its driver and what the CUDA backend is made of are there."""
    try:
        import pycuda.driver as cuda
    except ImportError:
        return False
    try:
        cuda.init()
        return bool(cuda.Device.count())
    except cuda.Error:
        return False
