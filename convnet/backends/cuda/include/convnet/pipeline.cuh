// A product of two matrices, tile by tile: copies to shared memory run STAGES - 1 steps ahead of the multiplications.
#pragma once

#include <convnet/ptx.cuh>
#include <convnet/tile.cuh>

// Copies VEC numbers, or zeros if not `valid`, to shared memory. Both addresses are aligned to VEC numbers. They are
// there after the pipeline's wait.
template <int VEC>
__device__ __forceinline__ void copy(act* to, const act* from, bool valid) {
    if constexpr (VEC * sizeof(act) >= 4)
        ptx::cp_async<VEC * sizeof(act)>(to, from, valid);
    else
        put(to, valid ? to_float(*from) : 0.f);
}

// As above, but only the first `count` numbers are read; zeros follow them.
template <int VEC>
__device__ __forceinline__ void copy_some(act* to, const act* from, bool valid, int count) {
    if (count >= VEC) {
        copy<VEC>(to, from, valid);
    } else {
#pragma unroll
        for (int i = 0; i < VEC; ++i) copy<1>(to + i, from + i, valid && i < count);
    }
}

// results += A B over `steps` steps of K. A loader's load(tile) copies its operand of the next step into shared memory.
template <class Results, class LoadA, class LoadB>
__device__ __forceinline__ void multiply(Results& results, LoadA& a, LoadB& b, int steps, act* memory) {
    constexpr int A = Results::A::SIZE, STAGE = A + Results::B::SIZE;
#pragma unroll
    for (int stage = 0; stage < STAGES - 1; ++stage) {
        if (stage < steps) {
            a.load(memory + stage * STAGE);
            b.load(memory + stage * STAGE + A);
        }
        ptx::cp_async_commit();
    }
    int present = 0, next = STAGES - 1;
    for (int step = 0; step < steps; ++step) {
        ptx::cp_async_wait<STAGES - 2>();
        __syncthreads();  // the present stage is there for all, and the stage before it has been read by all
        if (step + STAGES - 1 < steps) {
            a.load(memory + next * STAGE);
            b.load(memory + next * STAGE + A);
        }
        ptx::cp_async_commit();
        results.step(memory + present * STAGE, memory + present * STAGE + A);
        present = present + 1 == STAGES ? 0 : present + 1;
        next = next + 1 == STAGES ? 0 : next + 1;
    }
}
