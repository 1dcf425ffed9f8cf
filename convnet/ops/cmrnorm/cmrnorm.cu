// Response normalization across maps, for windows of a few channels: see convnet/ops/cmrnorm.
//
// Rows are rows of images. A thread has a span of SPAN channels of one pixel. Where their windows reach into the spans
// beside, fprop reads these too (from the first cache: a neighbouring thread reads them as well), and bprop gets what
// was computed of them from other lanes: the first and last REACH lanes of a warp only compute for their neighbours.
// Macros: SPAN, SIZE, POWER.

#include <convnet/grid.cuh>
#include <convnet/powers.cuh>
#include <convnet/reduce.cuh>
#include <convnet/span.cuh>

constexpr int BEFORE = SIZE / 2, AFTER = SIZE - 1 - BEFORE;  // channels of a window before and after its own
constexpr int REACH = (BEFORE + SPAN - 1) / SPAN;            // spans beside a span into which its windows reach
constexpr int AROUND = (2 * REACH + 1) * SPAN;
constexpr int OUTPUTS = 32 - 2 * REACH;  // lanes of a warp that have a result in bprop

// sums[i] = around[SPAN * REACH + i - before] + ... (SIZE terms).
__device__ __forceinline__ void window_sums(const float (&around)[AROUND], int before, float (&sums)[SPAN]) {
#pragma unroll
    for (int i = 0; i < SPAN; ++i) {
        sums[i] = 0.f;
#pragma unroll
        for (int j = 0; j < SIZE; ++j) sums[i] += around[SPAN * REACH + i - before + j];
    }
}

// sums[i] = the sum of the squares in the window of channel + i; the channels' own numbers lie at x.
__device__ __forceinline__ void sum_squares(
    const act* x, const float (&own)[SPAN], int channel, int channels, float (&sums)[SPAN]) {
    float squares[AROUND];
#pragma unroll
    for (int k = -REACH; k <= REACH; ++k) {
        float v[SPAN] = {};
        const int there = channel + k * SPAN;
        if (k != 0 && there >= 0 && there < channels) load_span(x + k * SPAN, v);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) {
            const float value = k == 0 ? own[i] : v[i];
            squares[(k + REACH) * SPAN + i] = value * value;
        }
    }
    window_sums(squares, BEFORE, sums);
}

extern "C" __global__ void fprop(const act* x, act* y, int rows, int columns, int channels, Numbers n) {
    const int column = own_column<SPAN>(), channel = column % channels;
    if (column >= columns) return;
    for (long long row = first_row(); row < rows; row += row_step()) {
        const long long place = row * columns + column;
        float v[SPAN], sums[SPAN];
        load_span(x + place, v);
        sum_squares(x + place, v, channel, channels, sums);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) v[i] *= powers_of(n, sums[i]).factor;
        store_span(y + place, v);
    }
}

// sums[i] = the sum of the pulls of those channels in whose windows channel + i is. All lanes of the warp come here.
__device__ __forceinline__ void collect(
    const float (&pulls)[SPAN], int channel, int channels, float (&sums)[SPAN]) {
    float around[AROUND];
#pragma unroll
    for (int i = 0; i < SPAN; ++i) around[REACH * SPAN + i] = pulls[i];
#pragma unroll
    for (int k = 1; k <= REACH; ++k) {
        const bool below = channel - k * SPAN >= 0, above = channel + k * SPAN < channels;
#pragma unroll
        for (int i = 0; i < SPAN; ++i) {
            const float left = k * SPAN - i <= AFTER ? __shfl_up_sync(ALL_LANES, pulls[i], k) : 0.f;
            const float right = (k - 1) * SPAN + i < BEFORE ? __shfl_down_sync(ALL_LANES, pulls[i], k) : 0.f;
            around[(REACH - k) * SPAN + i] = below ? left : 0.f;
            around[(REACH + k) * SPAN + i] = above ? right : 0.f;
        }
    }
    window_sums(around, AFTER, sums);
}

// scaled: from dy to dy d^-power; pulls = dy x d^(-power-1); sums: of squares.
__device__ __forceinline__ void pull(
    const float (&x)[SPAN], const float (&sums)[SPAN], const Numbers& n, float (&scaled)[SPAN], float (&pulls)[SPAN]) {
#pragma unroll
    for (int i = 0; i < SPAN; ++i) {
        const Powers powers = powers_of(n, sums[i]);
        scaled[i] *= powers.factor;
        pulls[i] = scaled[i] * x[i] * powers.inverse;
    }
}

// Blocks are whole warps, each of which has a part of a row.
extern "C" __global__ void bprop(
    const act* dy, const act* x, act* dx, int rows, int columns, int channels, Numbers n, int accumulate) {
    const int warp = own_column<1>() / 32, lane = threadIdx.x % 32;
    if (warp * OUTPUTS * SPAN >= columns) return;
    const int column = (warp * OUTPUTS + lane - REACH) * SPAN, channel = max(column, 0) % channels;
    const bool exists = column >= 0 && column < columns, has_result = lane >= REACH && lane < 32 - REACH;
    for (long long row = first_row(); row < rows; row += row_step()) {
        const long long place = row * columns + column;
        float scaled[SPAN] = {}, v[SPAN] = {}, sums[SPAN], pulls[SPAN] = {}, result[SPAN] = {};
        if (exists) {
            load_span(dy + place, scaled);
            load_span(x + place, v);
            sum_squares(x + place, v, channel, channels, sums);
            pull(v, sums, n, scaled, pulls);
        }
        collect(pulls, channel, channels, sums);
        if (!exists || !has_result) continue;
        if (accumulate) load_span(dx + place, result);
#pragma unroll
        for (int i = 0; i < SPAN; ++i) result[i] += scaled[i] - 2.f * n.alpha * n.power * v[i] * sums[i];
        store_span(dx + place, result);
    }
}
