// Pooling across maps on the GPU: see convnet/ops/cmpool. A thread has SPAN outputs (fprop) or SPAN channels (bprop).
//
// Rows are pixels. Neighbouring threads read overlapping windows: what one has brought into the cache the others find
// there. Macro: SPAN.

#include <convnet/grid.cuh>
#include <convnet/span.cuh>

struct Windows {
    int channels, outputs, size, stride, start;
};

extern "C" __global__ void fprop_max(const act* x, act* y, long long rows, Windows w) {
    const int output = own_column<SPAN>();
    if (output >= w.outputs) return;
    for (long long row = first_row(); row < rows; row += row_step()) {
        const act* source = x + row * w.channels;
        float all[SPAN];
#pragma unroll
        for (int i = 0; i < SPAN; ++i) {
            const int begin = w.start + (output + i) * w.stride, end = min(begin + w.size, w.channels);
            int channel = max(begin, 0);
            all[i] = channel < end ? to_float(source[channel]) : 0.f;
            while (++channel < end) {
                const float v = to_float(source[channel]);
                if (v > all[i] || v != v) all[i] = v;
            }
        }
        store_span(y + row * w.outputs + output, all);
    }
}

extern "C" __global__ void bprop_max(
    const act* dy, const act* x, const act* y, act* dx, long long rows, Windows w, int accumulate) {
    const int channel = own_column<SPAN>();
    if (channel >= w.channels) return;
    for (long long row = first_row(); row < rows; row += row_step()) {
        const act *above = dy + row * w.outputs, *largest = y + row * w.outputs;
        float v[SPAN], sums[SPAN] = {};
        load_span(x + row * w.channels + channel, v);
        if (accumulate) load_span(dx + row * w.channels + channel, sums);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) {
            const int place = channel + i - w.start;
            const int begin = place < w.size ? 0 : (place - w.size) / w.stride + 1;
            const int end = place < 0 ? 0 : min(w.outputs, place / w.stride + 1);
            for (int output = begin; output < end; ++output)
                if (to_float(largest[output]) == v[i]) sums[i] += to_float(above[output]);
        }
        store_span(dx + row * w.channels + channel, sums);
    }
}
