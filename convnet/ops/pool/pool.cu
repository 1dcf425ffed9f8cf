// Pooling on the GPU: see convnet/ops/pool. A thread has SPAN channels of one output (fprop) or one pixel (bprop).
//
// Rows are rows of the target, columns the spans of such a row. Macro: SPAN.

#include <convnet/places.cuh>

struct Geometry {
    int spans;  // of SPAN channels, in a pixel
    int height, width, outputs_y, outputs_x, size, stride, start;
};

struct Range {
    int begin, end;
    __device__ __forceinline__ int length() const { return end - begin; }
};

// The pixels in the window of an output, along one axis; none if it is outside of the image.
__device__ __forceinline__ Range window(const Geometry& g, int output, int image) {
    const int begin = g.start + output * g.stride;
    const int low = min(max(begin, 0), image);
    return {low, max(low, min(begin + g.size, image))};
}

// The outputs whose windows cover a pixel, along one axis.
__device__ __forceinline__ Range covering(const Geometry& g, int pixel, int outputs) {
    const int place = pixel - g.start;
    const int begin = place < g.size ? 0 : (place - g.size) / g.stride + 1;
    return {begin, place < 0 ? 0 : min(outputs, place / g.stride + 1)};
}

struct Largest {
    static __device__ __forceinline__ float start() { return -INFINITY; }
    static __device__ __forceinline__ float add(float all, float v) { return v > all || v != v ? v : all; }
    static __device__ __forceinline__ float finish(float all, int pixels) { return pixels ? all : 0.f; }
};

// The element farthest from 0, of a number and its negative the positive one.
struct Farthest {
    static __device__ __forceinline__ float start() { return 0.f; }
    static __device__ __forceinline__ float add(float all, float v) {
        const float size = fabsf(all), other = fabsf(v);
        return other > size || (other == size && v > all) || v != v ? v : all;
    }
    static __device__ __forceinline__ float finish(float all, int) { return all; }
};

struct Total {
    static __device__ __forceinline__ float start() { return 0.f; }
    static __device__ __forceinline__ float add(float all, float v) { return all + v; }
    static __device__ __forceinline__ float finish(float all, int) { return all; }
};

struct Mean : Total {
    static __device__ __forceinline__ float finish(float all, int pixels) { return pixels ? all / pixels : 0.f; }
};

template <class Kind>
__device__ __forceinline__ void pool(const act* x, act* y, int rows, const Geometry& g) {
    each_place(rows, g.outputs_y, g.outputs_x, g.spans, [&](int image, int row, int column, int span, long long at) {
        const Range lines = window(g, row, g.height), pixels = window(g, column, g.width);
        float all[SPAN], v[SPAN];
#pragma unroll
        for (int i = 0; i < SPAN; ++i) all[i] = Kind::start();
        for (int line = lines.begin; line < lines.end; ++line) {
            const long long first = (image * (long long)g.height + line) * g.width;
            for (int pixel = pixels.begin; pixel < pixels.end; ++pixel) {
                load_span(x + ((first + pixel) * g.spans + span) * SPAN, v);
#pragma unroll
                for (int i = 0; i < SPAN; ++i) all[i] = Kind::add(all[i], v[i]);
            }
        }
#pragma unroll
        for (int i = 0; i < SPAN; ++i) all[i] = Kind::finish(all[i], lines.length() * pixels.length());
        store_span(y + at, all);
    });
}

extern "C" __global__ void fprop_max(const act* x, act* y, int rows, Geometry g) { pool<Largest>(x, y, rows, g); }

extern "C" __global__ void fprop_maxabs(const act* x, act* y, int rows, Geometry g) { pool<Farthest>(x, y, rows, g); }

extern "C" __global__ void fprop_avg(const act* x, act* y, int rows, Geometry g) { pool<Mean>(x, y, rows, g); }

extern "C" __global__ void fprop_sum(const act* x, act* y, int rows, Geometry g) { pool<Total>(x, y, rows, g); }

// add(place of the output, number of pixels in its window) for each window that covers a pixel.
template <class Add>
__device__ __forceinline__ void each_window(const Geometry& g, int image, int row, int column, int span, Add add) {
    const Range outputs_y = covering(g, row, g.outputs_y), outputs_x = covering(g, column, g.outputs_x);
    for (int output_y = outputs_y.begin; output_y < outputs_y.end; ++output_y) {
        const long long outputs = (image * (long long)g.outputs_y + output_y) * g.outputs_x;
        const int lines = window(g, output_y, g.height).length();
        for (int output_x = outputs_x.begin; output_x < outputs_x.end; ++output_x)
            add(((outputs + output_x) * g.spans + span) * SPAN, lines * window(g, output_x, g.width).length());
    }
}

extern "C" __global__ void bprop_max(
    const act* dy, const act* x, const act* y, act* dx, int rows, Geometry g, int accumulate) {
    each_place(rows, g.height, g.width, g.spans, [&](int image, int row, int column, int span, long long target) {
        float v[SPAN], sums[SPAN] = {};
        load_span(x + target, v);
        if (accumulate) load_span(dx + target, sums);
        each_window(g, image, row, column, span, [&](long long output, int) {
            float above[SPAN], largest[SPAN];
            load_span(dy + output, above);
            load_span(y + output, largest);
#pragma unroll
            for (int i = 0; i < SPAN; ++i) sums[i] += v[i] == largest[i] ? above[i] : 0.f;
        });
        store_span(dx + target, sums);
    });
}

template <bool DIVIDE>
__device__ __forceinline__ void spread(const act* dy, act* dx, int rows, const Geometry& g, int accumulate) {
    each_place(rows, g.height, g.width, g.spans, [&](int image, int row, int column, int span, long long target) {
        float sums[SPAN] = {};
        if (accumulate) load_span(dx + target, sums);
        each_window(g, image, row, column, span, [&](long long output, int pixels) {
            float above[SPAN];
            load_span(dy + output, above);
            const float share = DIVIDE ? 1.f / pixels : 1.f;
#pragma unroll
            for (int i = 0; i < SPAN; ++i) sums[i] += share * above[i];
        });
        store_span(dx + target, sums);
    });
}

extern "C" __global__ void bprop_avg(const act* dy, act* dx, int rows, Geometry g, int accumulate) {
    spread<true>(dy, dx, rows, g, accumulate);
}

extern "C" __global__ void bprop_sum(const act* dy, act* dx, int rows, Geometry g, int accumulate) {
    spread<false>(dy, dx, rows, g, accumulate);
}
