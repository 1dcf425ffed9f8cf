// What batch normalization does to every number: see convnet/ops/bnorm. A thread has SPAN channels of some rows.
//
// Macro: SPAN.

#include <convnet/grid.cuh>
#include <convnet/neuron.cuh>
#include <convnet/span.cuh>

struct Function {
    int code;
    float a, b;
};

// y = f((x - mean) * factor + shift) for all rows of a thread, whose channels begin at `column`.
__device__ __forceinline__ void normalize(
    const act* x, act* y, const float (&mean)[SPAN], const float (&factor)[SPAN], const float* shifts, long long rows,
    int channels, int column, const Function& f) {
    float shift[SPAN];
    load_span(shifts + column, shift);
    for (long long row = first_row(); row < rows; row += row_step()) {
        const long long place = row * channels + column;
        float v[SPAN];
        load_span(x + place, v);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) v[i] = neuron(f.code, f.a, f.b, (v[i] - mean[i]) * factor[i] + shift[i]);
        store_span(y + place, v);
    }
}

// batch: means, then 1 / deviations.
extern "C" __global__ void fprop_train(
    const act* x, act* y, const float* scale, const float* shift, const float* batch, long long rows, int channels,
    int code, float a, float b) {
    const int column = own_column<SPAN>();
    if (column >= channels) return;
    float mean[SPAN], factor[SPAN];
    load_span(batch + column, mean);
    load_span(batch + channels + column, factor);
#pragma unroll
    for (int i = 0; i < SPAN; ++i) factor[i] *= scale[column + i];
    normalize(x, y, mean, factor, shift, rows, channels, column, {code, a, b});
}

extern "C" __global__ void fprop_test(
    const act* x, act* y, const float* scale, const float* shift, const float* means, const float* variances,
    long long rows, int channels, float eps, int code, float a, float b) {
    const int column = own_column<SPAN>();
    if (column >= channels) return;
    float mean[SPAN], factor[SPAN];
    load_span(means + column, mean);
#pragma unroll
    for (int i = 0; i < SPAN; ++i) factor[i] = scale[column + i] / sqrtf(variances[column + i] + eps);
    normalize(x, y, mean, factor, shift, rows, channels, column, {code, a, b});
}

// dx (+)= scale / deviation * (dy - sum / rows - h * pull / rows); sums: sum, then pull.
extern "C" __global__ void bprop(
    const act* dy, const act* x, const float* scale, const float* batch, const float* sums, act* dx, long long rows,
    int channels, int accumulate) {
    const int column = own_column<SPAN>();
    if (column >= channels) return;
    float mean[SPAN], factor[SPAN], share[SPAN], pull[SPAN];
    load_span(batch + column, mean);
#pragma unroll
    for (int i = 0; i < SPAN; ++i) {
        const float inverse = batch[channels + column + i];
        factor[i] = scale[column + i] * inverse;
        share[i] = sums[column + i] / rows;
        pull[i] = sums[channels + column + i] / rows * inverse;
    }
    for (long long row = first_row(); row < rows; row += row_step()) {
        const long long place = row * channels + column;
        float above[SPAN], v[SPAN];
        load_span(dy + place, above);
        load_span(x + place, v);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) v[i] = (above[i] - share[i] - (v[i] - mean[i]) * pull[i]) * factor[i];
        store_or_add<SPAN>(dx + place, v, accumulate);
    }
}
