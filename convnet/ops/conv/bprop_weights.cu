// Gradient of a convolution's filters on the GPU, as a matrix product: M = taps, N = filters of a group, K = modules of
// all cases. K is cut into parts, which other blocks sum up on their own and `sum_parts` adds in order.

#include <convnet/products.cuh>

#include "loaders.cuh"

using Results = WarpTile<false, false>;

// steps: of K to a part. sums: g.parts matrices of the shape of the filters.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) bprop_weights(
    const act* x, const act* dy, float* sums, Geometry g, int steps, int accumulate) {
    extern __shared__ uint4 memory[];
    const int channels = g.filter_channels(), filters = g.group_filters();
    const Taps taps = image_taps(g);
    const Block block(tiles(filters, TILE_N), g.groups, tiles(taps.places(), TILE_M));
    const int first_column = block.column * TILE_N, first_filter = block.group * filters + first_column;
    const int first_row = block.row * TILE_M;
    const long long modules = static_cast<long long>(g.cases) * g.modules_y * g.modules_x;
    const long long first = static_cast<long long>(block.beyond) * steps * K_STEP;
    const long long left = modules - first, most = static_cast<long long>(steps) * K_STEP;
    const int own = left < most ? left : most;

    LoadUnderModules<Results::A, VEC_A> load_x(
        x + block.group * channels, g, taps, first_row, Positions(first, g.modules_y, g.modules_x));
    LoadRows<Results::B, VEC_B> load_dy(dy + first * g.filters + first_filter, own, filters - first_column, g.filters);
    Results results;
    multiply(results, load_x, load_dy, tiles(own, K_STEP), reinterpret_cast<act*>(memory));

    const long long rows = static_cast<long long>(taps.rows) * taps.columns * taps.run;
    float* const sum = sums + block.beyond * rows * g.filters + first_filter;
    const bool packed = g.filters % 4 == 0 && filters % 4 == 0;
    give_out<4>(results, memory, [&](int row, int column, float(&values)[4]) {
        const Digits tap(first_row + row, taps.radix());
        if (tap.high >= taps.rows || tap.low >= taps.run) return;
        const long long row_of_filters = (tap.high * taps.columns + tap.middle) * taps.run + tap.low;
        finish(sum + row_of_filters * g.filters + column, values, filters - first_column - column, packed, accumulate,
               [](auto&) {});
    });
}

// dw (+)= the parts' sums, in order.
extern "C" __global__ void sum_parts(const float* sums, float* dw, long long size, int parts, int accumulate) {
    const long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (i >= size) return;
    float sum = accumulate ? dw[i] : 0.f;
    for (int part = 0; part < parts; ++part) sum += sums[part * size + i];
    dw[i] = sum;
}
