// Plain arithmetic on flat arrays of float32: see convnet/ops/flat.

#include <convnet/span.cuh>

constexpr int N = 4;  // as in cuda.py

template <int COUNT>
__device__ __forceinline__ void add_span(const float* x, float* y) {
    float v[COUNT];
    load_span<COUNT>(x, v);
    store_or_add<COUNT>(y, v, 1);
}

// A thread takes N numbers.
extern "C" __global__ void add(const float* x, float* y, long long size) {
    const long long first = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) * N;
    if (first + N <= size)
        add_span<N>(x + first, y + first);
    else
        for (long long i = first; i < size; ++i) add_span<1>(x + i, y + i);
}
