"""A GPU that is not there: PyCUDA, cuBLAS's bindings and kernels run on the CPU. See README.md."""

from tests.virtual_gpu.activation import start
from tests.virtual_gpu.build import Unavailable

__all__ = ["Unavailable", "start"]
