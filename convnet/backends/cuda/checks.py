"""What operations check of their arrays before they launch anything."""

from __future__ import annotations

from pycuda.gpuarray import GPUArray


def check_alike(operation: str, *arrays: GPUArray) -> None:
    """Raises ValueError unless all arrays have one shape and one type."""
    if len({(array.shape, array.dtype) for array in arrays}) != 1:
        raise ValueError(f"{operation}: arrays differ: {[(array.shape, str(array.dtype)) for array in arrays]}")
