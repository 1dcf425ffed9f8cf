// Resizing images: see convnet/ops/resize. Macro: SPAN.

#include <convnet/philox.cuh>
#include <convnet/places.cuh>

struct Sizes {
    int spans;  // of SPAN channels, in a pixel
    int height, width, outputs_y, outputs_x;
};

// What a case shows of its image.
struct View {
    float scale, offset_y, offset_x, margin;
};

// The two pixels, along one axis, that a pixel of the output lies between, and how near the second is.
struct Between {
    int first, second;
    float near;
    __device__ __forceinline__ Between(int pixel, float scale, float offset, int image, float margin) {
        const float at = fmaxf(0.f, fminf(image - margin, pixel * scale + offset));
        first = static_cast<int>(at);
        second = min(first + 1, image - 1);
        near = at - first;
    }
};

// y = x as `view(image)` shows it. A thread has SPAN channels of one pixel of the output.
template <class ViewOf>
__device__ __forceinline__ void resize(const act* x, act* y, int rows, const Sizes& s, ViewOf view_of) {
    each_place(rows, s.outputs_y, s.outputs_x, s.spans, [&](int image, int row, int column, int span, long long target) {
        const View view = view_of(image);
        const Between across(column, view.scale, view.offset_x, s.width, view.margin);
        const Between down(row, view.scale, view.offset_y, s.height, view.margin);
        float side[2][SPAN];
#pragma unroll
        for (int line = 0; line < 2; ++line) {
            const long long first = (image * (long long)s.height + (line ? down.second : down.first)) * s.width;
            float left[SPAN], right[SPAN];
            load_span(x + ((first + across.first) * s.spans + span) * SPAN, left);
            load_span(x + ((first + across.second) * s.spans + span) * SPAN, right);
#pragma unroll
            for (int i = 0; i < SPAN; ++i) side[line][i] = left[i] + across.near * (right[i] - left[i]);
        }
#pragma unroll
        for (int i = 0; i < SPAN; ++i) side[0][i] += down.near * (side[1][i] - side[0][i]);
        store_span(y + target, side[0]);
    });
}

extern "C" __global__ void fprop(const act* x, act* y, int rows, Sizes s, View view) {
    resize(x, y, rows, s, [&](int) { return view; });
}

extern "C" __global__ void crop(const act* x, act* y, int rows, Sizes s, const View* views) {
    resize(x, y, rows, s, [&](int image) { return views[image]; });
}

struct Draw {
    int height, width, side, sizes;  // sizes: to how many the image may be resized
    unsigned first_case, stream, k0, k1;
    float margin;
};

__device__ __forceinline__ double uniform(unsigned word) { return (word >> 8) * 0x1p-24; }

// Where in the image, along one axis, a crop of `side` pixels of the resized image begins.
__device__ __forceinline__ float offset(int image, long long resized, int side, double scale, unsigned word) {
    const int first = static_cast<int>(uniform(word) * (resized - side + 1));
    return static_cast<float>(image / 2. - resized / 2. * scale + first * scale);
}

// views: what each case shows. A thread has one case.
extern "C" __global__ void draw(const unsigned* thresholds, View* views, int cases, unsigned minibatch, Draw d) {
    const int item = blockIdx.x * blockDim.x + threadIdx.x;
    if (item >= cases) return;
    const Philox drawn = philox(0, d.first_case + item, minibatch, d.stream, d.k0, d.k1);
    int index = d.sizes - 1;  // the largest sizes are the likeliest
    while (index > 0 && drawn.word[0] < thresholds[index - 1]) --index;
    const int size = d.side + index, shorter = min(d.height, d.width);
    const double most = shorter / static_cast<double>(size), least = fmax(1., shorter / (size + 1.));
    const double scale = least + uniform(drawn.word[1]) * (most - least);
    const long long rows = size * static_cast<long long>(d.height) / shorter;
    const long long columns = size * static_cast<long long>(d.width) / shorter;
    views[item] = {
        static_cast<float>(scale), offset(d.height, rows, d.side, scale, drawn.word[2]),
        offset(d.width, columns, d.side, scale, drawn.word[3]), size == shorter ? 1.f : d.margin};
}
