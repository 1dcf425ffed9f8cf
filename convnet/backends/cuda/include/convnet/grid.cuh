// Where a thread of a grid for rows and columns stands: see convnet/backends/cuda/grid.py.
#pragma once

// The first of the N columns of this thread; it may lie behind the last one.
template <int N>
__device__ __forceinline__ int own_column() {
    return (blockIdx.x * blockDim.x + threadIdx.x) * N;
}

// This thread's rows are first_row(), first_row() + row_step(), ...
__device__ __forceinline__ long long first_row() { return blockIdx.y * static_cast<long long>(blockDim.y) + threadIdx.y; }

__device__ __forceinline__ long long row_step() { return gridDim.y * static_cast<long long>(blockDim.y); }
