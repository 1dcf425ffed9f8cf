// Images as they are stored become activations: see convnet/ops/pixels. Macro: SPAN, values of a thread in each image.

#include <convnet/grid.cuh>
#include <convnet/span.cuh>

// to = from: SPAN bytes, aligned to as many, in one access.
__device__ __forceinline__ void load_bytes(unsigned char (&to)[SPAN], const unsigned char* from) {
    if constexpr (SPAN == 4)
        *reinterpret_cast<unsigned int*>(to) = *reinterpret_cast<const unsigned int*>(from);
    else
        copy_span<SPAN>(to, from);
}

// y = values - mean + shifts. A thread keeps its part of the mean for all images that it comes to.
extern "C" __global__ void normalize(const unsigned char* values, const float* mean, const float* shifts, act* y,
                                     int cases, int features, int channels) {
    const int column = own_column<SPAN>();
    if (column >= features) return;
    float subtracted[SPAN];
    load_span(mean + column, subtracted);
    const int first_channel = column % channels;
    for (long long item = first_row(); item < cases; item += row_step()) {
        alignas(16) unsigned char held[SPAN];
        load_bytes(held, values + item * features + column);
        float v[SPAN];
        int channel = first_channel;
#pragma unroll
        for (int i = 0; i < SPAN; ++i) {
            v[i] = held[i] - subtracted[i] + shifts[item * channels + channel];
            if (++channel == channels) channel = 0;
        }
        store_span(y + item * features + column, v);
    }
}
