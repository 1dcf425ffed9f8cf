// The stages that the two response normalizations within maps have in common. Macros: SPAN, POWER.
#pragma once

#include <convnet/powers.cuh>
#include <convnet/strips.cuh>

// lines = the sums along x of the squares that value(row, column, span, v) gives, for windows around each pixel.
template <class Value>
__device__ __forceinline__ void sum_squares(const Strip& s, Range part, float* lines, Value value) {
    s.sum_along(part, s.before, lines, [&](int row, int column, int span, float(&v)[SPAN]) {
        value(row, column, span, v);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) v[i] *= v[i];
    });
}

// y = x d^-power of the strip; lines: from sum_squares.
__device__ __forceinline__ void normalize(const Strip& s, const act* x, const float* lines, act* y, const Numbers& n) {
    s.each(s.rows, [&](int row, int column, int span) {
        float v[SPAN], sums[SPAN];
        load_span(x + s.in_array(row, column, span), v);
        s.sum_down(row, column, span, s.before, lines, sums);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) v[i] *= powers_of(n, sums[i]).factor;
        store_span(y + s.in_array(row, column, span), v);
    });
}

// scaled = dy d^-power; pulls = dy x d^(-power-1), which an output adds to the gradients in its window; lines as above.
__device__ __forceinline__ void pull(
    const Strip& s, Range part, const act* dy, const act* x, const float* lines, float* scaled, float* pulls,
    const Numbers& n) {
    s.each(part, [&](int row, int column, int span) {
        float above[SPAN], v[SPAN], sums[SPAN];
        load_span(dy + s.in_array(row, column, span), above);
        load_span(x + s.in_array(row, column, span), v);
        s.sum_down(row, column, span, s.before, lines, sums);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) {
            const Powers powers = powers_of(n, sums[i]);
            above[i] *= powers.factor;
            v[i] *= above[i] * powers.inverse;
        }
        store_span(scaled + s.in_plane(row, column, span), above);
        store_span(pulls + s.in_plane(row, column, span), v);
    });
}

// lines = the sums along x of a plane, over the columns whose windows contain each pixel.
__device__ __forceinline__ void sum_plane(const Strip& s, Range part, const float* plane, float* lines) {
    s.sum_along(part, s.after, lines, [&](int row, int column, int span, float(&v)[SPAN]) {
        load_span(plane + s.in_plane(row, column, span), v);
    });
}
