// Blurring images: see convnet/ops/blur. A thread goes down a strip of one column, with SPAN channels of it: it blurs
// each line along x and keeps as many of the results as the sum along y needs. Macros: SPAN, REACH, STRIP.

#include <convnet/grid.cuh>
#include <convnet/span.cuh>

constexpr int TAPS = 2 * REACH + 1;

struct Blur {
    int spans;  // of SPAN channels, in a pixel
    int height, width, strips;  // strips: of STRIP lines, in an image
    float taps[TAPS];
};

// sums = the blurred pixels along x around a column; line: the spans of this line of the image.
__device__ __forceinline__ void blur_line(const Blur& b, const act* line, int column, int span, float (&sums)[SPAN]) {
#pragma unroll
    for (int k = 0; k < TAPS; ++k) {
        const int pixel = column + k - REACH;
        if (pixel < 0 || pixel >= b.width) continue;
        float v[SPAN];
        load_span(line + (pixel * b.spans + span) * SPAN, v);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) sums[i] += b.taps[k] * v[i];
    }
}

__device__ __forceinline__ void blur_strip(
    const Blur& b, const act* x, act* y, int first, int column, int span, int accumulate) {
    const int end = min(first + STRIP, b.height);
    const long long width = b.width * (long long)b.spans * SPAN;  // of a line
    float held[TAPS][SPAN] = {};
    for (int line = first - REACH; line < end + REACH; ++line) {
#pragma unroll
        for (int k = 0; k < TAPS; ++k)
#pragma unroll
            for (int i = 0; i < SPAN; ++i) held[k][i] = k < TAPS - 1 ? held[k + 1][i] : 0.f;
        if (line >= 0 && line < b.height) blur_line(b, x + line * width, column, span, held[TAPS - 1]);
        const int output = line - REACH;
        if (output < first) continue;
        float sums[SPAN] = {};
#pragma unroll
        for (int k = 0; k < TAPS; ++k)
#pragma unroll
            for (int i = 0; i < SPAN; ++i) sums[i] += b.taps[k] * held[k][i];
        store_or_add(y + output * width + (column * b.spans + span) * SPAN, sums, accumulate);
    }
}

extern "C" __global__ void apply(const act* x, act* y, int rows, Blur b, int accumulate) {
    const int item = own_column<1>(), column = item / b.spans, span = item - column * b.spans;
    if (column >= b.width) return;
    for (long long row = first_row(); row < rows; row += row_step()) {
        const long long image = row / b.strips, size = b.height * (long long)b.width * b.spans * SPAN;
        const int first = static_cast<int>(row - image * b.strips) * STRIP;
        blur_strip(b, x + image * size, y + image * size, first, column, span, accumulate);
    }
}
