// Products of tiles in shared memory: on tensor cores with TENSOR_CORES, otherwise by multiply-adds.
#pragma once

#if TENSOR_CORES
#include <convnet/mma.cuh>
#else
#include <convnet/fma.cuh>
#endif
#include <convnet/span.cuh>

// Calls store(row, column, values) for each WIDTH neighbouring results of the block's tile, after the last step. They
// go through shared memory, so that global memory is written in whole pieces.
template <int WIDTH, class Results, class Store>
__device__ __forceinline__ void give_out(const Results& results, void* memory, Store store) {
    constexpr int PIECES = WARP_N / WIDTH;
    float* slab = static_cast<float*>(memory) + threadIdx.x / 32 * SLAB * SLAB_PITCH;
    __syncthreads();  // the last step has been read by all
#pragma unroll
    for (int number = 0; number < WARP_M / SLAB; ++number) {
        results.give(number, slab);
        __syncwarp();
#pragma unroll 1
        for (int piece = lane(); piece < SLAB * PIECES; piece += 32) {
            const int row = piece / PIECES, column = piece % PIECES * WIDTH;
            float values[WIDTH];
            load_span(slab + row * SLAB_PITCH + column, values);
            store(warp_row() + number * SLAB + row, warp_column() + column, values);
        }
        __syncwarp();
    }
}
