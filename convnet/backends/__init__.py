"""Backends: devices, their memory, and how kernels are loaded. Imported when a device is opened, not before."""

from __future__ import annotations

from typing import Any

from convnet.errors import ConvnetError


def open_device(name: str = "auto", threads: int | None = None) -> Any:
    """The device called `name`: "cpu", or "auto" for the best there is. `threads` are for the CPU.

    Raises:
        ConvnetError: if there is no such device; another one is never taken instead.
    """
    if name not in ("auto", "cpu"):
        raise ConvnetError(f"--device: expected auto or cpu, found '{name}'")
    # Importing numba takes longer than most commands: only those that compute pay for it.
    from convnet.backends.cpu.device import CpuDevice

    return CpuDevice(threads=threads)
