// A warp's part of a tile by multiply-adds, in float32.
#pragma once

#include <convnet/span.cuh>
#include <convnet/tile.cuh>

// 4 x 8 lanes, each with some rows and columns of the warp's part.
template <bool A_INSIDE, bool B_INSIDE>
struct WarpTile {
    using A = Operand<TILE_M, A_INSIDE>;
    using B = Operand<TILE_N, B_INSIDE>;
    static constexpr int ROWS = WARP_M / 4, COLUMNS = WARP_N / 8;
    static_assert(ROWS % 4 == 0 && COLUMNS % 4 == 0, "threads read 4 numbers at once");

    // Unrolled further, reading both operands along K takes more registers than there are.
    static constexpr int UNROLLED = A_INSIDE && B_INSIDE ? 2 : K_STEP / 2;

    float sum[ROWS][COLUMNS] = {};

    // The i-th of a lane's rows (or columns), with LANES lanes along this axis: neighbours where K is outside, so that
    // 4 are read at once; otherwise one of each LANES, so that lanes read neighbouring rows of shared memory.
    template <int LANES, bool INSIDE>
    static __device__ __forceinline__ int place(int lane_there, int i) {
        return INSIDE ? lane_there + LANES * i : (i / 4 * LANES + lane_there) * 4 + i % 4;
    }

    // values[k][i] = the operand's numbers k, k + 1 at `first` + place(i).
    template <class T, int LANES, bool INSIDE, int COUNT>
    static __device__ __forceinline__ void read(
        const float* tile, int k, int first, int lane_there, float (&values)[2][COUNT]) {
        if constexpr (INSIDE) {
#pragma unroll
            for (int i = 0; i < COUNT; ++i) {
                const float2 pair = *reinterpret_cast<const float2*>(
                    tile + (first + place<LANES, true>(lane_there, i)) * T::PITCH + k);
                values[0][i] = pair.x;
                values[1][i] = pair.y;
            }
        } else {
#pragma unroll
            for (int i = 0; i < 2 * COUNT; i += 4) {
                const int row = k + i / COUNT, column = first + place<LANES, false>(lane_there, i % COUNT);
                float four[4];
                load_span(tile + row * T::PITCH + column, four);
#pragma unroll
                for (int e = 0; e < 4; ++e) values[i / COUNT][i % COUNT + e] = four[e];
            }
        }
    }

    __device__ __forceinline__ void step(const float* a, const float* b) {
#pragma unroll UNROLLED
        for (int k = 0; k < K_STEP; k += 2) {
            float left[2][ROWS], right[2][COLUMNS];
            read<A, 4, A_INSIDE>(a, k, warp_row(), lane() / 8, left);
            read<B, 8, B_INSIDE>(b, k, warp_column(), lane() % 8, right);
#pragma unroll
            for (int e = 0; e < 2; ++e)
#pragma unroll
                for (int i = 0; i < ROWS; ++i)
#pragma unroll
                    for (int j = 0; j < COLUMNS; ++j) sum[i][j] = fmaf(left[e][i], right[e][j], sum[i][j]);
        }
    }

    // Rows 16 number .. 16 number + 15 of the warp's part. `number` must be known to the compiler.
    __device__ __forceinline__ void give(int number, float* slab) const {
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < COLUMNS; ++j)
                slab[place<4, A_INSIDE>(lane() / 8, i) * SLAB_PITCH + place<8, B_INSIDE>(lane() % 8, j)] =
                    sum[number * 4 + i][j];
    }
};
