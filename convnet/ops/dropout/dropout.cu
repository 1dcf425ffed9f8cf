// Dropout: see convnet/ops/dropout. A thread draws for four features at a time, which are one group of the counter.

#include <convnet/grid.cuh>
#include <convnet/philox.cuh>
#include <convnet/span.cuh>

constexpr int GROUP = 4;

struct Draw {
    unsigned threshold, first_case, minibatch, stream, k0, k1;
    float scale;

    // What the features 4 group .. 4 group + 3 of a case are multiplied by.
    __device__ __forceinline__ void factors(long long item, int group, float* factor) const {
        const Philox drawn = philox(group, first_case + static_cast<unsigned>(item), minibatch, stream, k0, k1);
#pragma unroll
        for (int i = 0; i < GROUP; ++i) factor[i] = drawn.word[i] >> 8 < threshold ? scale : 0.f;
    }
};

extern "C" __global__ void apply_packs(
    const act* x, act* y, int cases, int features, unsigned threshold, float scale, unsigned first_case,
    unsigned minibatch, unsigned stream, unsigned k0, unsigned k1, int accumulate) {
    const Draw draw{threshold, first_case, minibatch, stream, k0, k1, scale};
    const int feature = own_column<PACK>();
    if (feature >= features) return;
    for (long long item = first_row(); item < cases; item += row_step()) {
        float v[PACK], factor[PACK];
#pragma unroll
        for (int i = 0; i < PACK; i += GROUP) draw.factors(item, (feature + i) / GROUP, factor + i);
        load_span<PACK>(x + item * features + feature, v);
        // A product, not a choice: NaN stays visible under the mask.
#pragma unroll
        for (int i = 0; i < PACK; ++i) v[i] *= factor[i];
        store_or_add(y + item * features + feature, v, accumulate);
    }
}

extern "C" __global__ void apply_groups(
    const act* x, act* y, int cases, int features, unsigned threshold, float scale, unsigned first_case,
    unsigned minibatch, unsigned stream, unsigned k0, unsigned k1, int accumulate) {
    const Draw draw{threshold, first_case, minibatch, stream, k0, k1, scale};
    const int feature = own_column<GROUP>();
    if (feature >= features) return;
    for (long long item = first_row(); item < cases; item += row_step()) {
        float factor[GROUP];
        draw.factors(item, feature / GROUP, factor);
        for (int i = 0; i < GROUP && feature + i < features; ++i) {
            const long long place = item * features + feature + i;
            store_or_add(&y[place], to_float(x[place]) * factor[i], accumulate);
        }
    }
}
