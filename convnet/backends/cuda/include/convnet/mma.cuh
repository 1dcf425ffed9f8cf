// A warp's part of a tile on tensor cores: in tf32 or, where activations are bfloat16, in bf16. Sums are float32.
#pragma once

#include <convnet/ptx.cuh>
#include <convnet/tile.cuh>

// Tensor cores: 16 x 8 results of a warp at a time, 32 bytes deep along K.
template <bool A_INSIDE, bool B_INSIDE>
struct WarpTile {
    using A = Operand<TILE_M, A_INSIDE>;
    using B = Operand<TILE_N, B_INSIDE>;
    static constexpr int ROWS = WARP_M / 16, COLUMNS = WARP_N / 8, DEPTH = 2 * PACK;

    float sum[ROWS][COLUMNS][4] = {};

    // 16 x DEPTH numbers of A: in the order of ptx::mma's a[0..3], rows first.
    static __device__ __forceinline__ void read_a(const act* tile, int k, int row, unsigned (&a)[4]) {
        const int l = lane();
        if constexpr (A_INSIDE) {
            ptx::ldmatrix_x4(a, tile + (row + l % 16) * A::PITCH + k + l / 16 * PACK);
        } else if constexpr (sizeof(act) == 2) {
            ptx::ldmatrix_x4_trans(a, tile + (k + l % 8 + l / 16 * 8) * A::PITCH + row + l / 8 % 2 * 8);
        } else {
            const act* corner = tile + (k + l % 4) * A::PITCH + row + l / 4;
#pragma unroll
            for (int i = 0; i < 4; ++i) a[i] = bits(corner[i / 2 * 4 * A::PITCH + i % 2 * 8]);
        }
        round(a);
    }

    // DEPTH x 16 numbers of B: b[0..1] of two neighbouring products.
    static __device__ __forceinline__ void read_b(const act* tile, int k, int column, unsigned (&b)[4]) {
        const int l = lane();
        if constexpr (B_INSIDE) {
            ptx::ldmatrix_x4(b, tile + (column + l % 8 + l / 16 * 8) * B::PITCH + k + l / 8 % 2 * PACK);
        } else if constexpr (sizeof(act) == 2) {
            ptx::ldmatrix_x4_trans(b, tile + (k + l % 16) * B::PITCH + column + l / 16 * 8);
        } else {
            const act* corner = tile + (k + l % 4) * B::PITCH + column + l / 4;
#pragma unroll
            for (int i = 0; i < 4; ++i) b[i] = bits(corner[i % 2 * 4 * B::PITCH + i / 2 * 8]);
        }
        round(b);
    }

    static __device__ __forceinline__ unsigned bits(float x) { return __float_as_uint(x); }
    static __device__ __forceinline__ unsigned bits(__nv_bfloat16) { return 0; }  // bf16 comes in pairs, by ldmatrix

    static __device__ __forceinline__ void round(unsigned (&numbers)[4]) {
        if constexpr (sizeof(act) == 4) {
#pragma unroll
            for (int i = 0; i < 4; ++i) numbers[i] = ptx::round_to_tf32(__uint_as_float(numbers[i]));
        }
    }

    static __device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
        if constexpr (sizeof(act) == 2)
            ptx::mma_m16n8k16_bf16(d, a, b);
        else
            ptx::mma_m16n8k8_tf32(d, a, b);
    }

    __device__ __forceinline__ void step(const act* a, const act* b) {
#pragma unroll
        for (int k = 0; k < K_STEP; k += DEPTH) {
            unsigned left[ROWS][4], right[COLUMNS / 2][4];
#pragma unroll
            for (int i = 0; i < ROWS; ++i) read_a(a, k, warp_row() + i * 16, left[i]);
#pragma unroll
            for (int j = 0; j < COLUMNS / 2; ++j) read_b(b, k, warp_column() + j * 16, right[j]);
#pragma unroll
            for (int i = 0; i < ROWS; ++i)
#pragma unroll
                for (int j = 0; j < COLUMNS; ++j) {
                    const unsigned pair[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
                    multiply(sum[i][j], left[i], pair);
                }
        }
    }

    __device__ __forceinline__ void give(int number, float* slab) const {
        const int row = lane() / 4, column = lane() % 4 * 2;
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j) {
            const float(&d)[4] = sum[number][j];
            *reinterpret_cast<float2*>(slab + row * SLAB_PITCH + j * 8 + column) = make_float2(d[0], d[1]);
            *reinterpret_cast<float2*>(slab + (row + 8) * SLAB_PITCH + j * 8 + column) = make_float2(d[2], d[3]);
        }
    }
};
