// Sums over rows for batch normalization: see convnet/ops/bnorm.
//
// The grid is (spans of SPAN channels, parts of the rows), a block is (spans, lanes). The lanes take rows of their part
// in turn, then halves of the lanes are added to the other halves. The kernels `finish_...` do the same with the parts,
// a channel a thread.
//
// Moments are those of the distances from the first row of all: float32 has no room for the mean of numbers far from 0.
// Macro: SPAN.

#include <convnet/grid.cuh>
#include <convnet/span.cuh>

constexpr int THREADS = 256;  // in a block, at most
constexpr int CHUNK = 4;      // rows whose squares are added up about the first of them

// The first of the rows of a part, and by `part + 1` the one behind its last.
__device__ __forceinline__ long long begin_of(long long rows, int part, int parts) { return rows * part / parts; }

// Number, mean and sum of squared distances from the mean, of N channels.
template <int N>
struct Moments {
    float count = 0.f, mean[N] = {}, spread[N] = {};

    // Of both together, without a difference of large numbers.
    // Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    __device__ __forceinline__ void add(float other, const float (&means)[N], const float (&spreads)[N]) {
        if (other == 0.f) return;
        const float both = count + other, share = other / both;
#pragma unroll
        for (int i = 0; i < N; ++i) {
            const float distance = means[i] - mean[i];
            mean[i] += distance * share;
            spread[i] += spreads[i] + distance * distance * count * share;
        }
        count = both;
    }
};

// Calls add(lane + half) for each of the two halves' pairs, until lane 0 has got all; `publish` shows others what a
// lane has.
template <class Publish, class Add>
__device__ __forceinline__ void reduce_lanes(Publish publish, Add add) {
    publish();
    for (int lanes = blockDim.y; lanes > 1;) {
        const int half = (lanes + 1) / 2;
        __syncthreads();
        if (threadIdx.y + half < lanes) {
            add((threadIdx.y + half) * blockDim.x + threadIdx.x);
            publish();
        }
        lanes = half;
    }
}

// The moments of all lanes end in those of lane 0.
template <int N>
__device__ __forceinline__ void reduce_lanes(Moments<N>& own) {
    __shared__ float counts[THREADS], means[N][THREADS], spreads[N][THREADS];
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    reduce_lanes(
        [&] {
            counts[thread] = own.count;
#pragma unroll
            for (int i = 0; i < N; ++i) means[i][thread] = own.mean[i], spreads[i][thread] = own.spread[i];
        },
        [&](int other) {
            float mean[N], spread[N];
#pragma unroll
            for (int i = 0; i < N; ++i) mean[i] = means[i][other], spread[i] = spreads[i][other];
            own.add(counts[other], mean, spread);
        });
}

// Adds the rows row, row + step, ... of a chunk to `own`, as distances from `origin`.
__device__ __forceinline__ void add_chunk(
    const act* x, const float (&origin)[SPAN], long long row, long long last, int step, int channels,
    Moments<SPAN>& own) {
    float sum[SPAN] = {}, squares[SPAN] = {}, v[CHUNK][SPAN];
    int count = 0;
#pragma unroll
    for (int j = 0; j < CHUNK; ++j) {
        if (row + j * step >= last) break;
        load_span(x + (row + j * step) * channels, v[j]);
        ++count;
    }
#pragma unroll
    for (int j = 1; j < CHUNK; ++j) {
        if (j >= count) break;
#pragma unroll
        for (int i = 0; i < SPAN; ++i) {
            const float distance = v[j][i] - v[0][i];
            sum[i] += distance;
            squares[i] += distance * distance;
        }
    }
#pragma unroll
    for (int i = 0; i < SPAN; ++i) {
        const float mean = sum[i] / count;
        squares[i] -= sum[i] * mean;
        sum[i] = v[0][i] - origin[i] + mean;
    }
    own.add(count, sum, squares);
}

// partial (parts, 2, channels): mean and sum of squared distances from it.
extern "C" __global__ void moments(const act* x, float* partial, long long rows, int channels) {
    const int column = own_column<SPAN>(), parts = gridDim.y, part = blockIdx.y, step = blockDim.y;
    const long long last = begin_of(rows, part + 1, parts);
    Moments<SPAN> own;
    if (column < channels) {
        float origin[SPAN];
        load_span(x + column, origin);
        for (long long row = begin_of(rows, part, parts) + threadIdx.y; row < last; row += CHUNK * step)
            add_chunk(x + column, origin, row, last, step, channels, own);
    }
    reduce_lanes(own);
    if (threadIdx.y > 0 || column >= channels) return;
    store_span(partial + 2LL * part * channels + column, own.mean);
    store_span(partial + (2LL * part + 1) * channels + column, own.spread);
}

// batch (2, channels) and the running statistics, from the parts' moments.
extern "C" __global__ void finish_moments(
    const act* x, const float* partial, int parts, float* batch, float* mean, float* variance, long long rows,
    int channels, float eps, float momentum) {
    const int column = own_column<1>();
    Moments<1> own;
    if (column < channels) {
        for (int part = threadIdx.y; part < parts; part += blockDim.y) {
            const float* of = partial + 2LL * part * channels + column;
            const float means[1] = {of[0]}, spreads[1] = {of[channels]};
            own.add(begin_of(rows, part + 1, parts) - begin_of(rows, part, parts), means, spreads);
        }
    }
    reduce_lanes(own);
    if (threadIdx.y > 0 || column >= channels) return;
    const float spread = own.spread[0] < 0.f ? 0.f : own.spread[0];  // written so that NaN stays NaN
    const float center = to_float(x[column]) + own.mean[0];
    batch[column] = center;
    batch[channels + column] = 1.f / sqrtf(spread / rows + eps);
    mean[column] = momentum * mean[column] + (1.f - momentum) * center;
    variance[column] = momentum * variance[column] + (1.f - momentum) * (spread / (rows > 1 ? rows - 1 : 1));
}

// The sums of a gradient and of its products with something, of N channels.
template <int N>
struct Sums {
    float sum[N] = {}, pull[N] = {};
};

// The sums of all lanes end in those of lane 0.
template <int N>
__device__ __forceinline__ void reduce_lanes(Sums<N>& own) {
    __shared__ float sums[N][THREADS], pulls[N][THREADS];
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    reduce_lanes(
        [&] {
#pragma unroll
            for (int i = 0; i < N; ++i) sums[i][thread] = own.sum[i], pulls[i][thread] = own.pull[i];
        },
        [&](int other) {
#pragma unroll
            for (int i = 0; i < N; ++i) own.sum[i] += sums[i][other], own.pull[i] += pulls[i][other];
        });
}

// partial (parts, 2, channels): the sums of dy and of dy * (x - mean); batch begins with the means.
extern "C" __global__ void products(
    const act* dy, const act* x, const float* batch, float* partial, long long rows, int channels) {
    const int column = own_column<SPAN>(), parts = gridDim.y, part = blockIdx.y;
    const long long last = begin_of(rows, part + 1, parts);
    Sums<SPAN> own;
    if (column < channels) {
        float mean[SPAN];
        load_span(batch + column, mean);
#pragma unroll 4
        for (long long row = begin_of(rows, part, parts) + threadIdx.y; row < last; row += blockDim.y) {
            float above[SPAN], v[SPAN];
            load_span(dy + row * channels + column, above);
            load_span(x + row * channels + column, v);
#pragma unroll
            for (int i = 0; i < SPAN; ++i) {
                own.sum[i] += above[i];
                own.pull[i] += above[i] * (v[i] - mean[i]);
            }
        }
    }
    reduce_lanes(own);
    if (threadIdx.y > 0 || column >= channels) return;
    store_span(partial + 2LL * part * channels + column, own.sum);
    store_span(partial + (2LL * part + 1) * channels + column, own.pull);
}

// sums (2, channels) from the parts' sums; dscale and dshift, where they are not null, (+)= them.
extern "C" __global__ void finish_products(
    const float* partial, int parts, const float* batch, float* sums, float* dscale, float* dshift, int channels,
    int accumulate) {
    const int column = own_column<1>();
    Sums<1> own;
    if (column < channels) {
        for (int part = threadIdx.y; part < parts; part += blockDim.y) {
            own.sum[0] += partial[2LL * part * channels + column];
            own.pull[0] += partial[(2LL * part + 1) * channels + column];
        }
    }
    reduce_lanes(own);
    if (threadIdx.y > 0 || column >= channels) return;
    const float pull = own.pull[0] * batch[channels + column];
    sums[column] = own.sum[0];
    sums[channels + column] = pull;
    if (dshift) store_or_add(dshift + column, own.sum[0], accumulate);
    if (dscale) store_or_add(dscale + column, pull, accumulate);
}
