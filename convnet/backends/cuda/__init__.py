"""The CUDA backend: PyCUDA for contexts, memory and launches, nvcc for kernels, NVIDIA's cuBLAS for matrix products."""
