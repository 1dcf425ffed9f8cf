"""The CPU backend: NumPy arrays, numba kernels, SciPy's BLAS, one pool of threads per device."""
