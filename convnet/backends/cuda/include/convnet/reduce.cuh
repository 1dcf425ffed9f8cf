// Sums and maxima over the threads of a warp or a block, in an order that never changes.
#pragma once

constexpr unsigned ALL_LANES = 0xffffffffu;

struct Sum {
    static constexpr float START = 0.f;
    __device__ __forceinline__ float operator()(float a, float b) const { return a + b; }
};

// NaN wins, so that it stays visible.
struct Max {
    static constexpr float START = -3.402823466e38f;
    __device__ __forceinline__ float operator()(float a, float b) const { return a > b || a != a ? a : b; }
};

// Every lane gets the result over its warp.
template <class Op>
__device__ __forceinline__ float reduce_warp(float value, Op op) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) value = op(value, __shfl_xor_sync(ALL_LANES, value, distance));
    return value;
}

// Every thread gets the result over its block of 32 n threads (one-dimensional); `shared` holds 32 numbers.
template <class Op>
__device__ __forceinline__ float reduce_block(float value, float* shared, Op op) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    value = reduce_warp(value, op);
    __syncthreads();  // the result of an earlier call may still be read
    if (lane == 0) shared[warp] = value;
    __syncthreads();
    return reduce_warp(lane < warps ? shared[lane] : Op::START, op);
}
