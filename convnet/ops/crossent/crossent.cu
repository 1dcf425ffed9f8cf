// Cross-entropy: see convnet/ops/crossent. `values` (cases, 2) are float32.

#include <convnet/costs.cuh>

// One block a case.
extern "C" __global__ void fprop(const target* labels, const act* probs, float* values, int classes) {
    __shared__ float shared[32];
    const target* t = labels + blockIdx.x * static_cast<long long>(classes);
    const act* q = probs + blockIdx.x * static_cast<long long>(classes);
    float total = 0.f;
    for (int j = threadIdx.x; j < classes; j += blockDim.x) total += to_float(t[j]) * logf(raised(to_float(q[j])));
    total = reduce_block(total, shared, Sum());
    const float error = most_probable_error(t, q, classes, shared);
    if (threadIdx.x > 0) return;
    values[2ll * blockIdx.x] = -total;
    values[2ll * blockIdx.x + 1] = error;
}

__device__ __forceinline__ float slope(float t, float q, float coeff) { return -coeff * t / raised(q); }

// PACK numbers a thread; the last few of an array one by one.
extern "C" __global__ void bprop(
    const target* labels, const act* probs, act* dx, long long size, float coeff, int accumulate) {
    const long long first = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) * PACK;
    if (first + PACK <= size) {
        float t[PACK], q[PACK];
        load_span<PACK>(labels + first, t);
        load_span<PACK>(probs + first, q);
#pragma unroll
        for (int i = 0; i < PACK; ++i) q[i] = slope(t[i], q[i], coeff);
        store_or_add<PACK>(dx + first, q, accumulate);
    } else {
        for (long long i = first; i < size; ++i)
            store_or_add(&dx[i], slope(to_float(labels[i]), to_float(probs[i]), coeff), accumulate);
    }
}

// One block a case.
extern "C" __global__ void bprop_softmax(
    const target* labels, const act* probs, act* dx, int classes, float coeff, int accumulate) {
    __shared__ float shared[32];
    const long long start = blockIdx.x * static_cast<long long>(classes);
    float total = 0.f;
    for (int j = threadIdx.x; j < classes; j += blockDim.x) total += to_float(labels[start + j]);
    total = reduce_block(total, shared, Sum());
    for (int j = threadIdx.x; j < classes; j += blockDim.x) {
        const float gradient = coeff * (to_float(probs[start + j]) * total - to_float(labels[start + j]));
        store_or_add(&dx[start + j], gradient, accumulate);
    }
}
