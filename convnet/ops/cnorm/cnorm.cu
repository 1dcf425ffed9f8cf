// Contrast normalization: see convnet/ops/cnorm, and convnet/strips.cuh for how the work is cut.
// workspace: planes for each block, or null: then they are in shared memory. plane: floats. Macros: SPAN, POWER.

#include <convnet/normalize.cuh>

// 1 / number of pixels in the window around a pixel.
__device__ __forceinline__ float share(const Strip& s, int row, int column) {
    const int lines = window(row, s.before, s.g.size, s.g.height).length();
    const int columns = window(column, s.before, s.g.size, s.g.width).length();
    return 1.f / (lines * columns);
}

// m = x - mean of the window; lines: scratch. A barrier stands before its end.
__device__ __forceinline__ void centre(const Strip& s, Range part, const act* x, float* lines, float* m) {
    s.sum_along(s.summed_by(part), s.before, lines, [&](int row, int column, int span, float(&v)[SPAN]) {
        load_span(x + s.in_array(row, column, span), v);
    });
    __syncthreads();
    s.each(part, [&](int row, int column, int span) {
        float v[SPAN], sums[SPAN];
        load_span(x + s.in_array(row, column, span), v);
        s.sum_down(row, column, span, s.before, lines, sums);
        const float part_of_each = share(s, row, column);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) v[i] -= sums[i] * part_of_each;
        store_span(m + s.in_plane(row, column, span), v);
    });
    __syncthreads();
}

extern "C" __global__ void fprop(const act* x, act* y, float* workspace, int plane, StripGeometry g, Numbers n) {
    extern __shared__ float shared[];
    float* lines = workspace ? workspace + 2LL * plane * blockIdx.x : shared;
    float* m = lines + plane;
    for (int item = blockIdx.x; item < g.items; item += gridDim.x) {
        const Strip s(g, item, 2 * (g.size / 2));
        const Range centred = s.summed_by(s.rows);
        centre(s, centred, x, lines, m);
        sum_squares(s, centred, lines, [&](int row, int column, int span, float(&v)[SPAN]) {
            load_span(m + s.in_plane(row, column, span), v);
        });
        __syncthreads();
        normalize(s, x, lines, y, n);
        __syncthreads();
    }
}

// m becomes r, the gradient with respect to m; shares = r / number of pixels in the window; lines: from sum_plane.
__device__ __forceinline__ void centred_gradient(
    const Strip& s, Range part, const float* lines, float slope, float* m, float* shares) {
    s.each(part, [&](int row, int column, int span) {
        float v[SPAN], sums[SPAN];
        const int at = s.in_plane(row, column, span);
        load_span(m + at, v);
        s.sum_down(row, column, span, s.after, lines, sums);
        const float part_of_each = share(s, row, column);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) {
            v[i] *= slope * sums[i];
            sums[i] = v[i] * part_of_each;
        }
        store_span(m + at, v);
        store_span(shares + at, sums);
    });
}

// dx (+)= what comes through the numerator, through m, and through the means; lines: from sum_plane.
__device__ __forceinline__ void finish(
    const Strip& s, const float* scaled, const float* r, const float* lines, act* dx, int accumulate) {
    s.each(s.rows, [&](int row, int column, int span) {
        float above[SPAN], v[SPAN], sums[SPAN], result[SPAN] = {};
        const long long at = s.in_array(row, column, span);
        load_span(scaled + s.in_plane(row, column, span), above);
        load_span(r + s.in_plane(row, column, span), v);
        if (accumulate) load_span(dx + at, result);
        s.sum_down(row, column, span, s.after, lines, sums);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) result[i] += above[i] + v[i] - sums[i];
        store_span(dx + at, result);
    });
}

extern "C" __global__ void bprop(
    const act* dy, const act* x, act* dx, float* workspace, int plane, StripGeometry g, Numbers n, int accumulate) {
    extern __shared__ float shared[];
    float* lines = workspace ? workspace + 4LL * plane * blockIdx.x : shared;
    float *m = lines + plane, *pulls = m + plane, *scaled = pulls + plane;
    for (int item = blockIdx.x; item < g.items; item += gridDim.x) {
        const Strip s(g, item, 2 * (g.size - 1));
        const Range sharing = s.summing(s.rows), pulling = s.summing(sharing), centred = s.summed_by(pulling);
        centre(s, centred, x, lines, m);
        sum_squares(s, centred, lines, [&](int row, int column, int span, float(&v)[SPAN]) {
            load_span(m + s.in_plane(row, column, span), v);
        });
        __syncthreads();
        pull(s, pulling, dy, x, lines, scaled, pulls, n);
        __syncthreads();
        sum_plane(s, pulling, pulls, lines);
        __syncthreads();
        centred_gradient(s, sharing, lines, -2.f * n.alpha * n.power, m, pulls);
        __syncthreads();
        sum_plane(s, sharing, pulls, lines);
        __syncthreads();
        finish(s, scaled, m, lines, dx, accumulate);
        __syncthreads();
    }
}
