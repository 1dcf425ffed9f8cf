// What the implicit matrix products share: positions, and taps of the filters.
//
// A filter is read as `rows` x `columns` taps of a run of `run` numbers that lie side by side in the image. With LINES
// the run is a whole line of the filter, (j, c), and there is one column: for few channels in one group. Along K (or M)
// a run takes `padded` places, a multiple of the VEC_A numbers that are copied at once.
#pragma once

#include <convnet/span.cuh>
#include <convnet/tile.cuh>

#include "geometry.cuh"

// A number in mixed radix: high * radix.middle * radix.low + middle * radix.low + low. Counters advance by constants in
// this form, without a division.
struct Radix {
    int middle, low;
};

struct Digits {
    int high, middle, low;

    __device__ __forceinline__ Digits(int number, Radix radix)
        : high(number / radix.low / radix.middle), middle(number / radix.low % radix.middle), low(number % radix.low) {}

    __device__ __forceinline__ void add(const Digits& by, Radix radix) {
        low += by.low;
        middle += by.middle;
        high += by.high;
        if (low >= radix.low) low -= radix.low, ++middle;
        if (middle >= radix.middle) middle -= radix.middle, ++high;
    }
};

struct Taps {
    int rows, columns, run, padded;

    __device__ __forceinline__ Taps(int rows, int columns, int run)
        : rows(columns ? rows : 0), columns(columns ? columns : 1), run(run),
          padded((run + VEC_A - 1) / VEC_A * VEC_A) {}

    // Places in K (or M).
    __device__ __forceinline__ int places() const { return rows * columns * padded; }
    __device__ __forceinline__ int steps() const { return (places() + K_STEP - 1) / K_STEP; }
    __device__ __forceinline__ Radix radix() const { return {columns, padded}; }
};

// The taps of a whole filter in the image.
__device__ __forceinline__ Taps image_taps(const Geometry& g) {
    return LINES ? Taps(g.size, 1, g.size * g.channels) : Taps(g.size, g.size, g.filter_channels());
}

// Positions (case, y, x) of maps of height x width, counted from a tile's first one.
struct Positions {
    long long first_case;
    int first, height, width;  // `first`: of the tile, within its case

    __device__ __forceinline__ Positions(long long start, int height, int width)
        : first_case(start / (height * width)), first(start % (height * width)), height(height), width(width) {}

    __device__ __forceinline__ Digits at(int row) const {
        Digits digits(first + row, {height, width});
        digits.high += first_case;
        return digits;
    }
};

// Which tile a block computes: columns fastest, so that blocks that run together read the same part of A; then groups,
// rows, and what is beyond (classes of pixels, parts of K).
struct Block {
    int column, group, row, beyond;

    __device__ __forceinline__ Block(int columns, int groups, int rows) {
        long long rest = blockIdx.x;
        column = rest % columns;
        rest /= columns;
        group = rest % groups;
        rest /= groups;
        row = rest % rows;
        beyond = rest / rows;
    }
};

// Tiles, or steps, that cover a size.
__device__ __forceinline__ long long tiles(long long size, int tile) { return (size + tile - 1) / tile; }

// target[0 .. count - 1] = f(values [+ target]), all at once if all WIDTH are wanted and `packed`: then target is
// aligned to WIDTH numbers. f changes the values in place.
template <int WIDTH, class T, class F>
__device__ __forceinline__ void finish(T* target, float (&values)[WIDTH], int count, bool packed, int accumulate, F f) {
    packed = packed && count >= WIDTH;
    if (accumulate) {
        float sum[WIDTH] = {};
        if (packed) {
            load_span(target, sum);
        } else {
#pragma unroll
            for (int i = 0; i < WIDTH; ++i)
                if (i < count) sum[i] = to_float(target[i]);
        }
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) values[i] += sum[i];
    }
    f(values);
    if (packed) {
        store_span(target, values);
    } else {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i)
            if (i < count) put(target + i, values[i]);
    }
}
