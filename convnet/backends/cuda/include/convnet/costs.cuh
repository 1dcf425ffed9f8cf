// What costs of probabilities share. Targets are float32, or held as activations are with -DTARGETS_ACT=1.
#pragma once

#include <convnet/reduce.cuh>
#include <convnet/span.cuh>

#if TARGETS_ACT
using target = act;
#else
using target = float;
#endif

constexpr float TINY = 1.17549435e-38f;  // the smallest normal number, of float32 and of bfloat16

// NaN stays.
__device__ __forceinline__ float raised(float p) { return p < TINY ? TINY : p; }

// The share of the most probable classes of a case that are not among those with the largest target; 1 if no target is
// above 0 or a probability is NaN. One block a case; every thread gets it. `shared` holds 32 numbers.
__device__ __forceinline__ float most_probable_error(const target* t, const act* q, int classes, float* shared) {
    float most = Max::START, largest = Max::START, equal = 0.f, right = 0.f;
    for (int j = threadIdx.x; j < classes; j += blockDim.x) {
        most = Max()(most, to_float(q[j]));
        largest = Max()(largest, to_float(t[j]));
    }
    most = reduce_block(most, shared, Max());
    largest = reduce_block(largest, shared, Max());
    for (int j = threadIdx.x; j < classes; j += blockDim.x) {
        const bool here = to_float(q[j]) == most;
        equal += here;
        right += here && largest > 0.f && to_float(t[j]) == largest;
    }
    equal = reduce_block(equal, shared, Sum());
    right = reduce_block(right, shared, Sum());
    return equal > 0.f ? 1.f - right / equal : 1.f;
}
