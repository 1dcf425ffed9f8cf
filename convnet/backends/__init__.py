"""Backends: devices, their memory, and how kernels are loaded. Imported when a device is opened, not before."""

from __future__ import annotations

from typing import Any, Protocol

from convnet.errors import ConvnetError


class Device(Protocol):
    """What nets need of a device of any backend; operations of a backend know more of their own devices.

    Blocks of memory and arrays are the backend's own types. Work given to a device is done in the order it is given;
    `download` waits for all of it.
    """

    backend: str  # the name of the modules that implement operations on it
    index: int

    def allocate(self, size: int) -> Any:
        """A block of `size` zeroed bytes."""

    def array(self, block: Any, offset: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """The array of this shape and type that begins `offset` bytes into a block."""

    def upload(self, source: Any, target: Any) -> None:
        """Copy a NumPy array into an array of the device, converting its type."""

    def download(self, source: Any) -> Any:
        """A copy of an array of the device, as a NumPy array."""


def open_device(name: str = "auto", threads: int | None = None) -> Device:
    """The device called `name`: "cpu", or "auto" for the best there is. `threads` are for the CPU.

    Raises:
        ConvnetError: if there is no such device; another one is never taken instead.
    """
    if name not in ("auto", "cpu"):
        raise ConvnetError(f"--device: expected auto or cpu, found '{name}'")
    # Importing numba takes longer than most commands: only those that compute pay for it.
    from convnet.backends.cpu.device import CpuDevice

    return CpuDevice(threads=threads)
