// Element by element: see convnet/ops/eltwise. PACK numbers a thread; the last few of an array one by one.

#include <convnet/span.cuh>

__device__ __forceinline__ long long own_pack() { return (blockIdx.x * (long long)blockDim.x + threadIdx.x) * PACK; }

template <int N>
__device__ __forceinline__ void scale_span(const act* x, act* y, float coeff, int accumulate) {
    float v[N];
    load_span<N>(x, v);
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] *= coeff;
    store_or_add(y, v, accumulate);
}

extern "C" __global__ void scale(const act* x, act* y, long long size, float coeff, int accumulate) {
    const long long first = own_pack();
    if (first + PACK <= size)
        scale_span<PACK>(x + first, y + first, coeff, accumulate);
    else
        for (long long i = first; i < size; ++i) scale_span<1>(x + i, y + i, coeff, accumulate);
}

// y = the sum of coeffs[k] * xs[k], each number rounded once.
template <int N>
__device__ __forceinline__ void sum_span(
    const act* const* xs, const float* coeffs, int inputs, act* y, long long first) {
    float sum[N] = {}, v[N];
#pragma unroll 4
    for (int k = 0; k < inputs; ++k) {
        load_span<N>(xs[k] + first, v);
#pragma unroll
        for (int i = 0; i < N; ++i) sum[i] += coeffs[k] * v[i];
    }
    store_span<N>(y + first, sum);
}

extern "C" __global__ void fprop_sum(
    const act* const* xs, const float* coeffs, int inputs, act* y, long long size) {
    const long long first = own_pack();
    if (first + PACK <= size)
        sum_span<PACK>(xs, coeffs, inputs, y, first);
    else
        for (long long i = first; i < size; ++i) sum_span<1>(xs, coeffs, inputs, y, i);
}

constexpr int INPUTS = 8;  // as in cuda.py; those that there are come first

struct Inputs {
    const act* x[INPUTS];
};

// NaN wins.
template <int N>
__device__ __forceinline__ void max_span(const Inputs& inputs, act* y, long long first) {
    float largest[N], v[N];
    load_span<N>(inputs.x[0] + first, largest);
#pragma unroll
    for (int k = 1; k < INPUTS; ++k) {
        if (!inputs.x[k]) break;
        load_span<N>(inputs.x[k] + first, v);
#pragma unroll
        for (int i = 0; i < N; ++i) largest[i] = largest[i] >= v[i] || largest[i] != largest[i] ? largest[i] : v[i];
    }
    store_span<N>(y + first, largest);
}

extern "C" __global__ void fprop_max(
    act* y, long long size, const act* x0, const act* x1, const act* x2, const act* x3, const act* x4, const act* x5,
    const act* x6, const act* x7) {
    const Inputs inputs{{x0, x1, x2, x3, x4, x5, x6, x7}};
    const long long first = own_pack();
    if (first + PACK <= size)
        max_span<PACK>(inputs, y, first);
    else
        for (long long i = first; i < size; ++i) max_span<1>(inputs, y, i);
}

template <int N>
__device__ __forceinline__ void where_equal(const act* dy, const act* x, const act* y, act* dx, int accumulate) {
    float above[N], v[N], largest[N];
    load_span<N>(dy, above);
    load_span<N>(x, v);
    load_span<N>(y, largest);
#pragma unroll
    for (int i = 0; i < N; ++i) above[i] = v[i] == largest[i] ? above[i] : 0.f;
    store_or_add(dx, above, accumulate);
}

extern "C" __global__ void bprop_max(
    const act* dy, const act* x, const act* y, act* dx, long long size, int accumulate) {
    const long long first = own_pack();
    if (first + PACK <= size)
        where_equal<PACK>(dy + first, x + first, y + first, dx + first, accumulate);
    else
        for (long long i = first; i < size; ++i) where_equal<1>(dy + i, x + i, y + i, dx + i, accumulate);
}
