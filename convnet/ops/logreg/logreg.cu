// Multinomial logistic regression: see convnet/ops/logreg. `labels` (cases) and `values` (cases, 3) are float32.

#include <convnet/costs.cuh>
#include <convnet/grid.cuh>

// The chance that a class does not get one of `places` places, when it shares its rank with `equal` classes.
__device__ __forceinline__ float top_error(float greater, float equal, float places) {
    if (equal == 0.f) return 1.f;  // its probability is NaN
    return 1.f - fminf(1.f, fmaxf(0.f, (places - greater) / equal));
}

// One block a case. Classes are counted in float32, which is exact below 2^24.
extern "C" __global__ void fprop(const float* labels, const act* probs, float* values, int classes, int topk, float smoothing) {
    __shared__ float shared[32];
    const float label = labels[blockIdx.x];
    const act* p = probs + blockIdx.x * static_cast<long long>(classes);
    float* value = values + 3ll * blockIdx.x;
    if (!(label >= 0.f && label < classes)) {
        if (threadIdx.x < 3) value[threadIdx.x] = nanf("");
        return;
    }
    const float own = to_float(p[static_cast<int>(label)]);
    float greater = 0.f, equal = 0.f, logs = 0.f;
    for (int j = threadIdx.x; j < classes; j += blockDim.x) {
        greater += to_float(p[j]) > own;
        equal += to_float(p[j]) == own;
        if (smoothing > 0.f) logs += logf(raised(to_float(p[j])));
    }
    greater = reduce_block(greater, shared, Sum());
    equal = reduce_block(equal, shared, Sum());
    if (smoothing > 0.f) logs = reduce_block(logs, shared, Sum());
    if (threadIdx.x > 0) return;
    value[0] = -logf(raised(own));
    if (smoothing > 0.f) value[0] = (1.f - smoothing) * value[0] - smoothing / classes * logs;
    value[1] = top_error(greater, equal, 1.f);
    value[2] = top_error(greater, equal, topk);
}

// Targets are `right` for the label's class and `others` for every other.
extern "C" __global__ void bprop(
    const float* labels, const act* probs, act* dx, int cases, int classes, float coeff, float right, float others,
    int accumulate) {
    const int j = own_column<1>();
    if (j >= classes) return;
    for (long long item = first_row(); item < cases; item += row_step()) {
        const long long place = item * classes + j;
        const float t = j == labels[item] ? right : others;
        store_or_add(&dx[place], t > 0.f ? -coeff * t / raised(to_float(probs[place])) : 0.f, accumulate);
    }
}

extern "C" __global__ void bprop_softmax(
    const float* labels, const act* probs, act* dx, int cases, int classes, float coeff, float right, float others,
    int accumulate) {
    const int j = own_column<1>();
    if (j >= classes) return;
    for (long long item = first_row(); item < cases; item += row_step()) {
        const long long place = item * classes + j;
        store_or_add(&dx[place], coeff * (to_float(probs[place]) - (j == labels[item] ? right : others)), accumulate);
    }
}
