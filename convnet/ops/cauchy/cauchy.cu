// The Cauchy cost: see convnet/ops/cauchy. `values` (cases, 1) are float32.

#include <convnet/costs.cuh>

// One block a case.
extern "C" __global__ void fprop(const target* targets, const act* outputs, float* values, int numbers) {
    __shared__ float shared[32];
    const long long start = blockIdx.x * static_cast<long long>(numbers);
    float total = 0.f;
    for (int j = threadIdx.x; j < numbers; j += blockDim.x) {
        const float distance = to_float(outputs[start + j]) - to_float(targets[start + j]);
        total += log1pf(distance * distance);
    }
    total = reduce_block(total, shared, Sum());
    if (threadIdx.x == 0) values[blockIdx.x] = total;
}

__device__ __forceinline__ float slope(float t, float y, float coeff) {
    const float distance = y - t;
    return coeff * (distance + distance) / (1.f + distance * distance);
}

// PACK numbers a thread; the last few of an array one by one.
extern "C" __global__ void bprop(
    const target* targets, const act* outputs, act* dx, long long size, float coeff, int accumulate) {
    const long long first = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) * PACK;
    if (first + PACK <= size) {
        float t[PACK], y[PACK];
        load_span<PACK>(targets + first, t);
        load_span<PACK>(outputs + first, y);
#pragma unroll
        for (int i = 0; i < PACK; ++i) y[i] = slope(t[i], y[i], coeff);
        store_or_add<PACK>(dx + first, y, accumulate);
    } else {
        for (long long i = first; i < size; ++i)
            store_or_add(&dx[i], slope(to_float(targets[i]), to_float(outputs[i]), coeff), accumulate);
    }
}
