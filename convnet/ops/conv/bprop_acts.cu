// Gradient of a convolution's input on the GPU, as a matrix product: M = pixels of all cases, N = channels of a group,
// K = (taps, filters of the group).
//
// With stride s a pixel meets only every s-th tap along each axis. Pixels are therefore computed in s x s classes, by
// their places modulo s: the pixels of one class meet the same taps.

#include <convnet/products.cuh>

#include "loaders.cuh"

using Results = WarpTile<true, true>;

// Along one axis: the pixels `first`, first + stride, ... and the taps `tap`, tap + stride, ... that they meet.
struct Class {
    int first, pixels, tap, taps;

    __device__ __forceinline__ Class(int number, int image, const Geometry& g)
        : first(number), pixels((image - number + g.stride - 1) / g.stride), tap((number + g.padding) % g.stride),
          taps((g.size - tap + g.stride - 1) / g.stride) {}

    // The module whose tap number `tap` lies over pixel number `pixel` of the class.
    __device__ __forceinline__ int module(int pixel, const Geometry& g) const {
        return (first + pixel * g.stride + g.padding - tap) / g.stride;
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) bprop_acts(
    const act* dy, const act* w, act* dx, Geometry g, int accumulate) {
    extern __shared__ uint4 memory[];  // a spot for each row of both operands, then the tiles
    Spot* const pixel_spots = reinterpret_cast<Spot*>(memory);
    Spot* const channel_spots = pixel_spots + TILE_M;
    act* const shared_tiles = reinterpret_cast<act*>(channel_spots + TILE_N);
    const int channels = g.filter_channels(), filters = g.group_filters(), s = g.stride;
    const long long largest = static_cast<long long>(g.cases) * ((g.height + s - 1) / s) * ((g.width + s - 1) / s);
    const Block block(tiles(channels, TILE_N), g.groups, tiles(largest, TILE_M));
    const Class rows(block.beyond / s, g.height, g), columns(block.beyond % s, g.width, g);
    if (rows.pixels <= 0 || columns.pixels <= 0) return;
    const Positions pixels(static_cast<long long>(block.row) * TILE_M, rows.pixels, columns.pixels);
    if (pixels.first_case >= g.cases) return;
    const int first_channel = block.column * TILE_N;

    for (int row = threadIdx.x; row < TILE_M; row += THREADS) {
        const Digits pixel = pixels.at(row);
        const int y = rows.module(pixel.middle, g), x = columns.module(pixel.low, g);
        const long long module = (static_cast<long long>(pixel.high) * g.modules_y + y) * g.modules_x + x;
        pixel_spots[row] = {module * g.filters, pixel.high < g.cases ? y : OUTSIDE, x * g.filters};
    }
    for (int row = threadIdx.x; row < TILE_N; row += THREADS) {
        const int channel = first_channel + row;
        const long long tap = rows.tap * g.size + columns.tap;
        channel_spots[row] = {(tap * channels + channel) * g.filters, channel < channels ? 0 : OUTSIDE, 0};
    }
    __syncthreads();

    const Taps taps(rows.taps, columns.taps, filters);
    LoadTaps<Results::A, VEC_A> load_dy(dy + block.group * filters, pixel_spots, taps);
    load_dy.row_stride = -static_cast<long long>(g.modules_x) * g.filters;
    load_dy.column_stride = load_dy.x_step = -g.filters;
    load_dy.y_step = -1;
    load_dy.height = g.modules_y;
    load_dy.line = g.modules_x * g.filters;
    LoadTaps<Results::B, VEC_A> load_w(w + block.group * filters, channel_spots, taps);
    load_w.row_stride = static_cast<long long>(s) * g.size * channels * g.filters;
    load_w.column_stride = static_cast<long long>(s) * channels * g.filters;
    load_w.y_step = load_w.x_step = 0;
    load_w.height = 1;
    load_w.line = INT_MAX;
    Results results;
    multiply(results, load_dy, load_w, taps.steps(), shared_tiles);

    const bool packed = g.channels % PACK == 0 && channels % PACK == 0;
    give_out<PACK>(results, shared_tiles, [&](int row, int column, float(&values)[PACK]) {
        const Digits pixel = pixels.at(row);
        if (pixel.high >= g.cases) return;
        const long long line = static_cast<long long>(pixel.high) * g.height + rows.first + pixel.middle * s;
        act* const to = dx + (line * g.width + columns.first + pixel.low * s) * g.channels + block.group * channels;
        finish(to + first_channel + column, values, channels - first_channel - column, packed, accumulate,
               [](auto&) {});
    });
}
