// values[i] = the sum of squares of case i, one block each. Threads keep N sums, so that each of them stays short.

#include <convnet/reduce.cuh>
#include <convnet/span.cuh>

template <int N>
__device__ __forceinline__ void sum_squares(const act* x, float* values, int features) {
    __shared__ float shared[32];
    const act* own = x + blockIdx.x * static_cast<long long>(features);
    float sum[N] = {}, total = 0.f;
    for (int first = threadIdx.x * N; first < features; first += blockDim.x * N) {
        float v[N];
        load_span<N>(own + first, v);
#pragma unroll
        for (int i = 0; i < N; ++i) sum[i] += v[i] * v[i];
    }
#pragma unroll
    for (int i = 0; i < N; ++i) total += sum[i];
    total = reduce_block(total, shared, Sum());
    if (threadIdx.x == 0) values[blockIdx.x] = total;
}

extern "C" __global__ void sum_packs(const act* x, float* values, int features) {
    sum_squares<PACK>(x, values, features);
}

extern "C" __global__ void sum_singles(const act* x, float* values, int features) {
    sum_squares<1>(x, values, features);
}
