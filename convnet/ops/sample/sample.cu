// Samples of images: see convnet/ops/sample. A thread has SPAN channels of one pixel of the target. Macro: SPAN.

#include <convnet/places.cuh>

struct Geometry {
    int spans;  // of SPAN channels, in a pixel
    int height, width, start_y, start_x, step_y, step_x, outputs_y, outputs_x;
};

extern "C" __global__ void fprop(const act* x, act* y, int rows, Geometry g) {
    each_place(rows, g.outputs_y, g.outputs_x, g.spans, [&](int image, int row, int column, int span, long long target) {
        const long long line = image * (long long)g.height + g.start_y + row * g.step_y;
        float v[SPAN];
        load_span(x + ((line * g.width + g.start_x + column * g.step_x) * g.spans + span) * SPAN, v);
        store_span(y + target, v);
    });
}

// Which of the outputs takes this pixel, along one axis; -1 if none does.
__device__ __forceinline__ int taker(int pixel, int start, int step, int outputs) {
    const int output = (pixel - start) / step;
    return output * step == pixel - start && output < outputs ? output : -1;
}

extern "C" __global__ void bprop(const act* dy, act* dx, int rows, Geometry g, int accumulate) {
    each_place(rows, g.height, g.width, g.spans, [&](int image, int row, int column, int span, long long target) {
        const int output_y = taker(row, g.start_y, g.step_y, g.outputs_y);
        const int output_x = taker(column, g.start_x, g.step_x, g.outputs_x);
        float v[SPAN] = {};
        if (output_y >= 0 && output_x >= 0) {
            const long long line = image * (long long)g.outputs_y + output_y;
            load_span(dy + ((line * g.outputs_x + output_x) * g.spans + span) * SPAN, v);
        } else if (accumulate) {
            return;
        }
        store_or_add(dx + target, v, accumulate);
    });
}
