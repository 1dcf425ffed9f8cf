// Colours in other spaces than RGB: see convnet/ops/rgb. A thread has PIXELS pixels in a row. Macro: PIXELS.

#include <convnet/span.cuh>

struct Colour {
    float a, b, c;
};

// y = change(x), pixel by pixel.
template <class Change>
__device__ __forceinline__ void each_pixel(const act* x, act* y, long long items, Change change) {
    const long long item = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (item >= items) return;
    float v[3 * PIXELS];
    load_span(x + item * 3 * PIXELS, v);
#pragma unroll
    for (int i = 0; i < 3 * PIXELS; i += 3) {
        const Colour changed = change(v[i], v[i + 1], v[i + 2]);
        v[i] = changed.a;
        v[i + 1] = changed.b;
        v[i + 2] = changed.c;
    }
    store_span(y + item * 3 * PIXELS, v);
}

extern "C" __global__ void to_yuv(const act* x, act* y, long long items) {
    each_pixel(x, y, items, [](float r, float g, float b) -> Colour {
        return {0.2126f * r + 0.7152f * g + 0.0722f * b, -0.09991f * r - 0.33609f * g + 0.436f * b,
                0.615f * r - 0.55861f * g - 0.05639f * b};
    });
}

__device__ __forceinline__ float f(float t) {
    return t > 0.0088564517f ? powf(t, 0.3333f) : 7.787037f * t + 0.13793103f;
}

// black: what is taken from L.
extern "C" __global__ void to_lab(const act* x, act* y, long long items, float black) {
    each_pixel(x, y, items, [&](float r, float g, float b) -> Colour {
        const float fx = f(0.49f * r + 0.31f * g + 0.2f * b);
        const float fy = f(0.17697f * r + 0.8124f * g + 0.01063f * b);
        const float fz = f(0.01f * g + 0.99f * b);
        return {116.f * fy - black, 500.f * (fx - fy), 200.f * (fy - fz)};
    });
}
