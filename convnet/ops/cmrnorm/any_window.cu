// Response normalization across maps, for blocks of channels and for windows too large for cmrnorm.cu.
//
// A block has one pixel after the other. Macro: POWER.

#include <convnet/act.cuh>
#include <convnet/powers.cuh>

struct Window {
    int channels, size, blocked;
};

struct Range {
    int begin, end;
};

// The channels from `before` ahead of c, as many as a window has; with `blocked` those of c's block.
__device__ __forceinline__ Range around(const Window& w, int c, int before) {
    const int begin = w.blocked ? c - c % w.size : c - before;
    return {max(begin, 0), min(begin + w.size, w.channels)};
}

__device__ __forceinline__ Powers normalize(const Window& w, const Numbers& n, const act* x, int c) {
    const Range window = around(w, c, w.size / 2);
    float sum = 0.f;
    for (int f = window.begin; f < window.end; ++f) sum += to_float(x[f]) * to_float(x[f]);
    return powers_of(n, sum);
}

extern "C" __global__ void fprop(const act* x, act* y, long long pixels, Window w, Numbers n) {
    for (long long pixel = blockIdx.x; pixel < pixels; pixel += gridDim.x) {
        const act* here = x + pixel * w.channels;
        for (int c = threadIdx.x; c < w.channels; c += blockDim.x)
            put(&y[pixel * w.channels + c], to_float(here[c]) * normalize(w, n, here, c).factor);
    }
}

// workspace: two rows of channels for each block, or null: then they are in shared memory.
extern "C" __global__ void bprop(
    const act* dy, const act* x, act* dx, float* workspace, long long pixels, Window w, Numbers n, int accumulate) {
    extern __shared__ float shared[];
    float* pulls = workspace ? workspace + 2LL * w.channels * blockIdx.x : shared;
    float* scaled = pulls + w.channels;  // dy * d^-power
    for (long long pixel = blockIdx.x; pixel < pixels; pixel += gridDim.x) {
        const act* here = x + pixel * w.channels;
        for (int c = threadIdx.x; c < w.channels; c += blockDim.x) {
            const Powers powers = normalize(w, n, here, c);
            scaled[c] = to_float(dy[pixel * w.channels + c]) * powers.factor;
            pulls[c] = scaled[c] * to_float(here[c]) * powers.inverse;
        }
        __syncthreads();
        for (int c = threadIdx.x; c < w.channels; c += blockDim.x) {
            const Range pulling = around(w, c, w.size - 1 - w.size / 2);
            float sum = 0.f;
            for (int f = pulling.begin; f < pulling.end; ++f) sum += pulls[f];
            act* target = &dx[pixel * w.channels + c];
            const float held = accumulate ? to_float(*target) : 0.f;
            put(target, held + scaled[c] - 2.f * n.alpha * n.power * to_float(here[c]) * sum);
        }
        __syncthreads();
    }
}
