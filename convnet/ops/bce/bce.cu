// Binary cross-entropy: see convnet/ops/bce. `values` are float32.

#include <convnet/costs.cuh>

// value[0], value[1] = the cost and the share of wrong numbers of a case, one block each; every thread calls this.
__device__ __forceinline__ void cost_and_wrong(
    const target* t, const act* q, float* value, int classes, float weight, float* shared) {
    float cost = 0.f, wrong = 0.f;
    for (int j = threadIdx.x; j < classes; j += blockDim.x) {
        const float own = to_float(t[j]), p = to_float(q[j]);
        const float no = p < .5f ? log1pf(-p) : logf(raised(1.f - p));
        cost -= weight * own * logf(raised(p)) + (1.f - own) * no;
        wrong += !(own > .5f ? p > .5f : p <= .5f);
    }
    cost = reduce_block(cost, shared, Sum());
    wrong = reduce_block(wrong, shared, Sum());
    if (threadIdx.x > 0) return;
    value[0] = cost;
    value[1] = wrong / classes;
}

extern "C" __global__ void fprop(
    const target* labels, const act* probs, float* values, int classes, float weight) {
    __shared__ float shared[32];
    const long long start = blockIdx.x * static_cast<long long>(classes);
    float* value = values + 3ll * blockIdx.x;
    cost_and_wrong(labels + start, probs + start, value, classes, weight, shared);
    const float error = most_probable_error(labels + start, probs + start, classes, shared);
    if (threadIdx.x == 0) value[2] = error;
}

extern "C" __global__ void fprop_counts(
    const target* labels, const act* probs, float* values, int classes, float weight) {
    __shared__ float shared[32];
    const long long start = blockIdx.x * static_cast<long long>(classes);
    float* value = values + 3 * start + 2ll * blockIdx.x;
    cost_and_wrong(labels + start, probs + start, value, classes, weight, shared);
    for (int j = threadIdx.x; j < classes; j += blockDim.x) {
        const bool declared = to_float(probs[start + j]) > .5f, positive = to_float(labels[start + j]) > .5f;
        value[2 + j] = declared;
        value[2 + classes + j] = positive;
        value[2 + 2ll * classes + j] = declared && positive;
    }
}

struct OfProbability {
    __device__ __forceinline__ float operator()(float t, float q, float weight) const {
        return (1.f - t) / raised(1.f - q) - weight * t / raised(q);
    }
};

struct OfInput {
    __device__ __forceinline__ float operator()(float t, float q, float weight) const {
        return (1.f - t) * q - weight * t * (1.f - q);
    }
};

// PACK numbers a thread; the last few of an array one by one.
template <class Slope>
__device__ __forceinline__ void gradient(
    const target* labels, const act* probs, act* dx, long long size, float coeff, float weight, int accumulate,
    Slope slope) {
    const long long first = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) * PACK;
    if (first + PACK <= size) {
        float t[PACK], q[PACK];
        load_span<PACK>(labels + first, t);
        load_span<PACK>(probs + first, q);
#pragma unroll
        for (int i = 0; i < PACK; ++i) q[i] = coeff * slope(t[i], q[i], weight);
        store_or_add<PACK>(dx + first, q, accumulate);
    } else {
        for (long long i = first; i < size; ++i)
            store_or_add(&dx[i], coeff * slope(to_float(labels[i]), to_float(probs[i]), weight), accumulate);
    }
}

extern "C" __global__ void bprop(
    const target* labels, const act* probs, act* dx, long long size, float coeff, float weight, int accumulate) {
    gradient(labels, probs, dx, size, coeff, weight, accumulate, OfProbability());
}

extern "C" __global__ void bprop_logistic(
    const target* labels, const act* probs, act* dx, long long size, float coeff, float weight, int accumulate) {
    gradient(labels, probs, dx, size, coeff, weight, accumulate, OfInput());
}
