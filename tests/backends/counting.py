"""A CPU device that counts what its kernels allocate."""

from numba.core.runtime import _nrt_python, rtsys

from convnet.backends.cpu.device import CpuDevice


class CountingDevice(CpuDevice):
    """Counts allocations by numba's runtime: for arrays made in a kernel, by name (np.empty) or in an expression."""

    def allocations(self, function):
        """How many arrays kernels made while the function ran; their compilation must lie behind."""
        _nrt_python.memsys_enable_stats()
        try:
            before = rtsys.get_allocation_stats().alloc
            function()
            return rtsys.get_allocation_stats().alloc - before
        finally:
            _nrt_python.memsys_disable_stats()
