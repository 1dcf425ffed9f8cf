// Multinomial logistic regression: see convnet/ops/logreg. `labels` (cases) and `values` (cases, 3) are float32.

#include <convnet/grid.cuh>
#include <convnet/reduce.cuh>
#include <convnet/span.cuh>

constexpr float TINY = 1.17549435e-38f;  // the smallest normal number, of float32 and of bfloat16

// NaN stays.
__device__ __forceinline__ float raised(float p) { return p < TINY ? TINY : p; }

// The chance that a class does not get one of `places` places, when it shares its rank with `equal` classes.
__device__ __forceinline__ float top_error(float greater, float equal, float places) {
    if (equal == 0.f) return 1.f;  // its probability is NaN
    return 1.f - fminf(1.f, fmaxf(0.f, (places - greater) / equal));
}

// One block a case. Classes are counted in float32, which is exact below 2^24.
extern "C" __global__ void fprop(const float* labels, const act* probs, float* values, int classes, int topk) {
    __shared__ float shared[32];
    const float label = labels[blockIdx.x];
    const act* p = probs + blockIdx.x * static_cast<long long>(classes);
    float* value = values + 3ll * blockIdx.x;
    if (!(label >= 0.f && label < classes)) {
        if (threadIdx.x < 3) value[threadIdx.x] = nanf("");
        return;
    }
    const float own = to_float(p[static_cast<int>(label)]);
    float greater = 0.f, equal = 0.f;
    for (int j = threadIdx.x; j < classes; j += blockDim.x) {
        greater += to_float(p[j]) > own;
        equal += to_float(p[j]) == own;
    }
    greater = reduce_block(greater, shared, Sum());
    equal = reduce_block(equal, shared, Sum());
    if (threadIdx.x > 0) return;
    value[0] = -logf(raised(own));
    value[1] = top_error(greater, equal, 1.f);
    value[2] = top_error(greater, equal, topk);
}

extern "C" __global__ void bprop(
    const float* labels, const act* probs, act* dx, int cases, int classes, float coeff, int accumulate) {
    const int j = own_column<1>();
    if (j >= classes) return;
    for (long long item = first_row(); item < cases; item += row_step()) {
        const long long place = item * classes + j;
        store_or_add(&dx[place], j == labels[item] ? -coeff / raised(to_float(probs[place])) : 0.f, accumulate);
    }
}

extern "C" __global__ void bprop_softmax(
    const float* labels, const act* probs, act* dx, int cases, int classes, float coeff, int accumulate) {
    const int j = own_column<1>();
    if (j >= classes) return;
    for (long long item = first_row(); item < cases; item += row_step()) {
        const long long place = item * classes + j;
        store_or_add(&dx[place], coeff * (to_float(probs[place]) - (j == labels[item] ? 1.f : 0.f)), accumulate);
    }
}
