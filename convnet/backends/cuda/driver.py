"""NVIDIA's driver, asked directly: PyCUDA cannot be imported where it is missing or too old."""

from __future__ import annotations

import os
import re
import shutil
from ctypes import CDLL, byref, c_char_p, c_int
from dataclasses import dataclass
from pathlib import Path

_LIBRARY = "libcuda.so.1"
_KERNEL_MODULE = Path("/proc/driver/nvidia/version")
_PAGE = "https://www.nvidia.com/drivers"
_NO_DEVICE, _MISMATCH = 100, 803  # CUDA_ERROR_NO_DEVICE, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH


@dataclass(frozen=True)
class Driver:
    """The driver, or why it cannot be used.

    loaded: its library is there. cuda: the newest CUDA it supports, as (major, minor). mend: what to do.
    """

    loaded: bool
    version: str | None = None
    cuda: tuple[int, int] | None = None
    problem: str | None = None
    mend: str | None = None


def find_driver() -> Driver:
    """Load the driver's library and start it; what goes wrong is the `problem`."""
    try:
        library = CDLL(_LIBRARY)
    except OSError as error:
        return Driver(loaded=False, problem=str(error), mend=install_driver())
    number = c_int()
    library.cuDriverGetVersion(byref(number))
    cuda = (number.value // 1000, number.value % 1000 // 10)
    version = ", ".join(filter(None, [_release(), f"CUDA {cuda[0]}.{cuda[1]}"]))
    code = library.cuInit(0)
    if code:
        return Driver(loaded=True, version=version, cuda=cuda, problem=_message(library, code), mend=_mend(code))
    return Driver(loaded=True, version=version, cuda=cuda)


def install_driver() -> str:
    """How to come by a driver on this system."""
    if Path("/.dockerenv").exists():
        return "docker run --gpus all (this container was started without the GPUs of its host)"
    return update_driver()


def update_driver() -> str:
    """How to come by the newest driver on this system."""
    return "sudo ubuntu-drivers install" if shutil.which("ubuntu-drivers") else f"install the driver from {_PAGE}"


def _release() -> str | None:
    """The driver's own number, such as 580.65.06, where the kernel shows it."""
    try:
        found = re.search(r"\b\d{3,}\.[\d.]*\d", _KERNEL_MODULE.read_text())
    except OSError:
        return None
    return found and found[0]


def _message(library: CDLL, code: int) -> str:
    text = c_char_p()
    library.cuGetErrorString(code, byref(text))
    return f"{(text.value or b'unknown error').decode()} (error {code})"


def _mend(code: int) -> str:
    if code == _NO_DEVICE and "CUDA_VISIBLE_DEVICES" in os.environ:
        return "unset CUDA_VISIBLE_DEVICES"
    if code == _MISMATCH:
        return "sudo reboot"
    return "nvidia-smi (tells what the driver sees)"
