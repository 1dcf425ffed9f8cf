// The shape of one block's part of a matrix product, TILE_M x TILE_N, and where its operands lie in shared memory.
//
// Macros: TILE_M, TILE_N, WARPS_M x WARPS_N warps that share the tile, STAGES steps of K under way at once.
#pragma once

#include <convnet/act.cuh>

constexpr int THREADS = 32 * WARPS_M * WARPS_N;
constexpr int WARP_M = TILE_M / WARPS_M, WARP_N = TILE_N / WARPS_N;
constexpr int K_STEP = 64 / sizeof(act);  // numbers along K that are loaded at once: 64 bytes

constexpr int SLAB = 16;                // rows of a warp's part that it gives out at a time
constexpr int SLAB_PITCH = WARP_N + 8;  // numbers from row to row of a slab: 8 rows of pairs spread over all banks

static_assert(TILE_M % (16 * WARPS_M) == 0 && TILE_N % (16 * WARPS_N) == 0, "warps take multiples of 16 x 16");

// One operand of one step. K_INSIDE: OUTER rows of K_STEP numbers; otherwise K_STEP rows of OUTER numbers: as the
// operand is contiguous in global memory.
//
// Rows are PITCH numbers apart so that no two threads of an access meet in one of the 32 banks. ldmatrix (and reads of
// 8 or 16 bytes) take 16 bytes of each of 8 rows: an odd number of 16-byte pieces to a row spreads these. tf32 reads 8
// neighbours of each of 4 rows if K is outside: 8 banks more than a multiple of 32 spread those.
template <int OUTER, bool K_INSIDE>
struct Operand {
    static constexpr int ROWS = K_INSIDE ? OUTER : K_STEP;
    static constexpr int WIDTH = K_INSIDE ? K_STEP : OUTER;
    static constexpr int PITCH = WIDTH + (K_INSIDE || sizeof(act) == 2 ? 16 : 32) / static_cast<int>(sizeof(act));
    static constexpr int SIZE = ROWS * PITCH;
};

// How the threads share the copying of an operand: chunks of VEC numbers, a thread always in the same column.
template <class T, int VEC>
struct Chunks {
    static constexpr int COLUMNS = T::WIDTH / VEC;
    static constexpr int PER_PASS = THREADS / COLUMNS;  // rows
    static constexpr int PASSES = (T::ROWS + PER_PASS - 1) / PER_PASS;
    static_assert(PER_PASS > 0, "a row has more chunks than the block threads");

    static __device__ __forceinline__ int column() { return threadIdx.x % COLUMNS * VEC; }
    static __device__ __forceinline__ int row(int pass) { return threadIdx.x / COLUMNS + pass * PER_PASS; }
    static __device__ __forceinline__ bool mine(int pass) {
        return (THREADS % COLUMNS == 0 || threadIdx.x < COLUMNS * PER_PASS) &&
               (T::ROWS % PER_PASS == 0 || row(pass) < T::ROWS);
    }
};

__device__ __forceinline__ int lane() { return threadIdx.x % 32; }

// Where the warp's part of the tile begins.
__device__ __forceinline__ int warp_row() { return threadIdx.x / 32 / WARPS_N * WARP_M; }
__device__ __forceinline__ int warp_column() { return threadIdx.x / 32 % WARPS_N * WARP_N; }
