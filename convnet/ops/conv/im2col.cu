// Windows of maps laid out as rows of a matrix, and such rows added back onto maps. VEC: channels to a thread.
//
// Rows of the matrix: modules of some cases. Columns: (group, i, j, channel of the group).

#include <convnet/span.cuh>

#include "geometry.cuh"

// matrix: activations. Threads: (column / VEC, module).
extern "C" __global__ void im2col(const act* x, act* matrix, Geometry g) {
    const int channels = g.filter_channels(), columns = g.channels * g.size * g.size;
    const int number = blockIdx.x * blockDim.x + threadIdx.x;
    const int column = number % (columns / VEC) * VEC, module = number / (columns / VEC);
    const int p = module / g.modules_x % g.modules_y, q = module % g.modules_x, n = module / g.modules_x / g.modules_y;
    if (n >= g.cases) return;
    const int channel = column % channels, tap = column / channels, j = tap % g.size, i = tap / g.size % g.size;
    const int group = tap / g.size / g.size;
    const int y = p * g.stride - g.padding + i, x_of = q * g.stride - g.padding + j;
    float v[VEC] = {};
    const long long pixel = (static_cast<long long>(n) * g.height + y) * g.width + x_of;
    if (y >= 0 && y < g.height && x_of >= 0 && x_of < g.width)
        load_span(x + pixel * g.channels + group * channels + channel, v);
    store_span(matrix + static_cast<long long>(module) * columns + column, v);
}

// matrix: float32. dx (+)= what its rows have for each pixel, in the order of the taps. Threads: (channel / VEC,
// pixel).
extern "C" __global__ void col2im(const float* matrix, act* dx, Geometry g, int accumulate) {
    const int channels = g.filter_channels(), columns = g.channels * g.size * g.size;
    const int number = blockIdx.x * blockDim.x + threadIdx.x;
    const int channel = number % (g.channels / VEC) * VEC, pixel = number / (g.channels / VEC);
    const int y = pixel / g.width % g.height, x = pixel % g.width, n = pixel / g.width / g.height;
    if (n >= g.cases) return;
    act* const to = dx + static_cast<long long>(pixel) * g.channels + channel;
    const int group = channel / channels, inner = channel % channels;
    float sum[VEC] = {};
    if (accumulate) load_span(to, sum);
    for (int i = (y + g.padding) % g.stride; i < g.size; i += g.stride) {
        const int p = (y + g.padding - i) / g.stride;
        if (y + g.padding < i || p >= g.modules_y) continue;
        for (int j = (x + g.padding) % g.stride; j < g.size; j += g.stride) {
            const int q = (x + g.padding - j) / g.stride;
            if (x + g.padding < j || q >= g.modules_x) continue;
            const long long row = (static_cast<long long>(n) * g.modules_y + p) * g.modules_x + q;
            float v[VEC];
            load_span(matrix + row * columns + ((group * g.size + i) * g.size + j) * channels + inner, v);
#pragma unroll
            for (int e = 0; e < VEC; ++e) sum[e] += v[e];
        }
    }
    store_span(to, sum);
}
