"""A CPU device that counts what its kernels allocate."""

import numpy as np
from numba.core.runtime import _nrt_python, rtsys

from convnet.backends.cpu.device import CpuDevice


class CountingDevice(CpuDevice):
    """Counts allocations by numba's runtime, less those for arguments.

    numba wraps every array that Python passes to a kernel in a small record, whatever its size. All else that its
    runtime allocates is for arrays made in a kernel: by name (np.empty), or hidden in an expression.
    """

    def __init__(self, threads):
        super().__init__(threads=threads)
        self._passed = []

    def parallel(self, kernel, items, *arguments):
        def noting(start, stop, *ready):
            self._passed.append(count_arrays(ready))
            kernel(start, stop, *ready)

        return super().parallel(noting, items, *arguments)

    def allocations(self, function):
        """How many arrays kernels made while the function ran; their compilation must lie behind."""
        self._passed.clear()
        _nrt_python.memsys_enable_stats()
        try:
            before = rtsys.get_allocation_stats().alloc
            function()
            return rtsys.get_allocation_stats().alloc - before - sum(self._passed)
        finally:
            _nrt_python.memsys_disable_stats()


def count_arrays(arguments):
    """How many arrays there are among a kernel's arguments, those in tuples too."""
    return sum(count_arrays(item) if isinstance(item, tuple) else isinstance(item, np.ndarray) for item in arguments)
