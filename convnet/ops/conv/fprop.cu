// Convolution forward on the GPU, as a matrix product: M = modules of all cases, N = filters of a group, K = taps.

#include <convnet/neuron.cuh>
#include <convnet/products.cuh>

#include "loaders.cuh"

using Results = WarpTile<true, false>;

// v = f(v). The neurons that most layers have are written out for each number; the others are in one loop, because they
// are long.
__device__ __forceinline__ void apply(int code, float a, float b, float (&v)[PACK]) {
    if (code == IDENT) return;
    if (code == RELU) {
#pragma unroll
        for (int i = 0; i < PACK; ++i) v[i] = neuron(RELU, a, b, v[i]);
        return;
    }
    float held[PACK];
#pragma unroll
    for (int i = 0; i < PACK; ++i) held[i] = v[i];
#pragma unroll 1
    for (int i = 0; i < PACK; ++i) held[i] = neuron(code, a, b, held[i]);
#pragma unroll
    for (int i = 0; i < PACK; ++i) v[i] = held[i];
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) fprop(
    const act* x, const act* w, const float* bias, act* y, Geometry g, int bias_of_modules, int accumulate, int code,
    float a, float b) {
    extern __shared__ uint4 memory[];  // a spot for each row, then the tiles
    Spot* const spots = reinterpret_cast<Spot*>(memory);
    act* const shared_tiles = reinterpret_cast<act*>(spots + TILE_M);
    const int channels = g.filter_channels(), filters = g.group_filters();
    const int modules = g.modules_y * g.modules_x;
    const Block block(tiles(filters, TILE_N), g.groups, tiles(static_cast<long long>(g.cases) * modules, TILE_M));
    const long long first_row = static_cast<long long>(block.row) * TILE_M;
    const int first_column = block.column * TILE_N, first_filter = block.group * filters + first_column;
    const Positions positions(first_row, g.modules_y, g.modules_x);
    for (int row = threadIdx.x; row < TILE_M; row += THREADS) {
        const Digits module = positions.at(row);
        const int top = module.middle * g.stride - g.padding, left = (module.low * g.stride - g.padding) * g.channels;
        const long long line = static_cast<long long>(module.high) * g.height + top;
        spots[row] = {line * g.width * g.channels + left, module.high < g.cases ? top : OUTSIDE, left};
    }
    __syncthreads();

    const Taps taps = image_taps(g);
    LoadTaps<Results::A, VEC_A> load_x(x + block.group * channels, spots, taps);
    load_x.row_stride = static_cast<long long>(g.width) * g.channels;
    load_x.column_stride = load_x.x_step = g.channels;
    load_x.y_step = 1;
    load_x.height = g.height;
    load_x.line = g.width * g.channels;
    Results results;
    if constexpr (LINES) {
        LoadLines<Results::B, VEC_B> load_w(w + first_filter, taps, filters - first_column, g.filters);
        multiply(results, load_x, load_w, taps.steps(), shared_tiles);
    } else {
        LoadRows<Results::B, VEC_B> load_w(w + first_filter, taps.places(), filters - first_column, g.filters);
        multiply(results, load_x, load_w, taps.steps(), shared_tiles);
    }

    const bool packed = g.filters % PACK == 0 && filters % PACK == 0;
    give_out<PACK>(results, shared_tiles, [&](int row, int column, float(&values)[PACK]) {
        const Digits module = positions.at(row);
        if (module.high >= g.cases) return;
        const int filter = first_filter + column, left = filters - first_column - column;
        const int of_module = bias_of_modules ? (module.middle * g.modules_x + module.low) * g.filters : 0;
        finish(y + (first_row + row) * g.filters + filter, values, left, packed, accumulate, [&](float(&v)[PACK]) {
#pragma unroll
            for (int i = 0; i < PACK; ++i)
                if (bias && i < left) v[i] += bias[of_module + filter + i];
            apply(code, a, b, v);
        });
    });
}
