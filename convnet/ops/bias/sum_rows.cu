// Sums over rows: see cuda.py. The grid is (columns, parts of the rows), a block is (spans of N columns, lanes); lane l
// of a part takes its rows l, l + lanes, ..., then halves of the lanes are added to the other halves.

#include <convnet/grid.cuh>
#include <convnet/span.cuh>

constexpr int THREADS = 256;  // in a block, at most

template <int N>
__device__ __forceinline__ void sum_part(const act* source, float (&sum)[N], long long rows, int columns, int column) {
    const long long first = rows * blockIdx.y / gridDim.y, last = rows * (blockIdx.y + 1) / gridDim.y;
#pragma unroll 4
    for (long long row = first + threadIdx.y; row < last; row += blockDim.y) {
        float v[N];
        load_span<N>(source + row * columns + column, v);
#pragma unroll
        for (int i = 0; i < N; ++i) sum[i] += v[i];
    }
}

// The sums over lanes end in those of lane 0.
template <int N>
__device__ __forceinline__ void sum_lanes(float (&sum)[N]) {
    __shared__ float shared[N][THREADS];
    const int own = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
    for (int i = 0; i < N; ++i) shared[i][own] = sum[i];
    for (int lanes = blockDim.y; lanes > 1;) {
        const int half = (lanes + 1) / 2;
        __syncthreads();
        if (threadIdx.y + half < lanes) {
#pragma unroll
            for (int i = 0; i < N; ++i) shared[i][own] += shared[i][own + half * blockDim.x];
        }
        lanes = half;
    }
#pragma unroll
    for (int i = 0; i < N; ++i) sum[i] = shared[i][own];
}

template <int N>
__device__ __forceinline__ void sum_rows(const act* source, float* out, int rows, int columns, int accumulate) {
    const int column = own_column<N>();
    float sum[N] = {};
    if (column < columns) sum_part<N>(source, sum, rows, columns, column);
    sum_lanes<N>(sum);
    if (threadIdx.y > 0 || column >= columns) return;
    store_or_add(out + blockIdx.y * static_cast<long long>(columns) + column, sum, accumulate);
}

extern "C" __global__ void sum_packs(const act* source, float* out, int rows, int columns, int accumulate) {
    sum_rows<PACK>(source, out, rows, columns, accumulate);
}

extern "C" __global__ void sum_singles(const act* source, float* out, int rows, int columns, int accumulate) {
    sum_rows<1>(source, out, rows, columns, accumulate);
}
