// Response normalization within maps: see convnet/ops/rnorm, and convnet/strips.cuh for how the work is cut.
// workspace: planes for each block, or null: then they are in shared memory. plane: floats. Macros: SPAN, POWER.

#include <convnet/normalize.cuh>

extern "C" __global__ void fprop(const act* x, act* y, float* workspace, int plane, StripGeometry g, Numbers n) {
    extern __shared__ float shared[];
    float* lines = workspace ? workspace + (long long)plane * blockIdx.x : shared;
    for (int item = blockIdx.x; item < g.items; item += gridDim.x) {
        const Strip s(g, item, g.size / 2);
        sum_squares(s, s.summed_by(s.rows), lines, [&](int row, int column, int span, float(&v)[SPAN]) {
            load_span(x + s.in_array(row, column, span), v);
        });
        __syncthreads();
        normalize(s, x, lines, y, n);
        __syncthreads();
    }
}

// dx (+)= scaled + slope x (sum of the pulls); lines: from sum_plane.
__device__ __forceinline__ void finish(
    const Strip& s, const act* x, const float* scaled, const float* lines, act* dx, float slope, int accumulate) {
    s.each(s.rows, [&](int row, int column, int span) {
        float above[SPAN], v[SPAN], sums[SPAN], result[SPAN] = {};
        const long long at = s.in_array(row, column, span);
        load_span(x + at, v);
        load_span(scaled + s.in_plane(row, column, span), above);
        if (accumulate) load_span(dx + at, result);
        s.sum_down(row, column, span, s.after, lines, sums);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) result[i] += above[i] + slope * v[i] * sums[i];
        store_span(dx + at, result);
    });
}

extern "C" __global__ void bprop(
    const act* dy, const act* x, act* dx, float* workspace, int plane, StripGeometry g, Numbers n, int accumulate) {
    extern __shared__ float shared[];
    float* lines = workspace ? workspace + 3LL * plane * blockIdx.x : shared;
    float *pulls = lines + plane, *scaled = pulls + plane;
    for (int item = blockIdx.x; item < g.items; item += gridDim.x) {
        const Strip s(g, item, g.size - 1);
        const Range pulling = s.summing(s.rows);
        sum_squares(s, s.summed_by(pulling), lines, [&](int row, int column, int span, float(&v)[SPAN]) {
            load_span(x + s.in_array(row, column, span), v);
        });
        __syncthreads();
        pull(s, pulling, dy, x, lines, scaled, pulls, n);
        __syncthreads();
        sum_plane(s, pulling, pulls, lines);
        __syncthreads();
        finish(s, x, scaled, lines, dx, -2.f * n.alpha * n.power, accumulate);
        __syncthreads();
    }
}
