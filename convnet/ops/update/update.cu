// The step of learning: see convnet/ops/update. Weights, increments and gradients are float32; `operands`, if there are
// any, are the weights rounded to the type of activations.

#include <convnet/span.cuh>

constexpr int SEGMENTS = 128;                // as in cuda.py
constexpr float REST = 0.f, NESTEROV = 2.f;  // as in cuda.py; every other rule is plain momentum

struct Step {
    float keep, step, decay, rule;
};

struct Steps {
    Step of[SEGMENTS];
};

struct Block {
    long long segment, first, stop;
};

struct Weights {
    float *w, *inc;
    const float* g;
    act* operands;
};

template <int N>
__device__ __forceinline__ void look_ahead(float (&w)[N], float (&inc)[N], const float (&g)[N], const Step& rates) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
        const float change = -rates.step * g[i] - rates.decay * w[i];
        inc[i] = rates.keep * inc[i] + change;
        w[i] += rates.keep * inc[i] + change;
    }
}

template <int N>
__device__ __forceinline__ void update(const Weights& all, long long first, const Step& rates) {
    float w[N], inc[N], g[N];
    load_span<N>(all.w + first, w);
    load_span<N>(all.inc + first, inc);
    load_span<N>(all.g + first, g);
    if (rates.rule == NESTEROV) {
        look_ahead<N>(w, inc, g, rates);
    } else {
#pragma unroll
        for (int i = 0; i < N; ++i) {
            inc[i] = rates.keep * inc[i] - rates.step * g[i] - rates.decay * w[i];
            w[i] += inc[i];
        }
    }
    store_span<N>(all.inc + first, inc);
    store_span<N>(all.w + first, w);
    if (all.operands) store_span<N>(all.operands + first, w);
}

// A block of threads a block of weights. Four weights that begin at a multiple of four are updated together.
extern "C" __global__ void momentum(
    Steps steps, const Block* blocks, float* w, float* inc, const float* g, act* operands) {
    constexpr int N = 4;
    const Block own = blocks[blockIdx.x];
    const Step rates = steps.of[own.segment];
    if (rates.rule == REST) return;
    const Weights all{w, inc, g, operands};
    for (long long four = own.first / N + threadIdx.x; four * N < own.stop; four += blockDim.x) {
        const long long begin = four * N;
        if (begin >= own.first && begin + N <= own.stop)
            update<N>(all, begin, rates);
        else
            for (long long i = max(begin, own.first); i < min(begin + N, own.stop); ++i) update<1>(all, i, rates);
    }
}

constexpr int COLUMNS = 32, LANES = 32;  // as in cuda.py

// The sum of value(number) over this thread's column, in float64: each lane adds up a part of the rows, then halves of the
// lanes are added to the other halves.
template <class Value>
__device__ __forceinline__ double column_sum(
    double (&sums)[LANES][COLUMNS], const float* column, int rows, int columns, bool inside, Value value) {
    double sum = 0.;
    if (inside) {
#pragma unroll 4
        for (int row = threadIdx.y; row < rows; row += LANES) sum += value(column[row * static_cast<long long>(columns)]);
    }
    sums[threadIdx.y][threadIdx.x] = sum;
    for (int half = LANES / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) sums[threadIdx.y][threadIdx.x] += sums[threadIdx.y + half][threadIdx.x];
    }
    __syncthreads();
    sum = sums[0][threadIdx.x];
    __syncthreads();  // before the next sums
    return sum;
}

// What the column of this thread is to be multiplied by. The squares of float32 numbers are exact in float64.
__device__ __forceinline__ double factor_of(
    const float* column, int rows, int columns, bool inside, double low, double high, int centred) {
    __shared__ double sums[LANES][COLUMNS];
    const double mean =
        centred ? column_sum(sums, column, rows, columns, inside, [](double v) { return v; }) / rows : 0.;
    const double norm =
        sqrt(column_sum(sums, column, rows, columns, inside, [=](double v) { return (v - mean) * (v - mean); }));
    return norm > high ? high / norm : norm > 0. && norm < low ? low / norm : 1.;
}

// A block takes COLUMNS columns of one part of w, which has `rows` rows.
extern "C" __global__ void bound(
    float* w, act* operands, int rows, int columns, double low, double high, int centred) {
    const int groups = (columns + COLUMNS - 1) / COLUMNS;
    const int column = blockIdx.x % groups * COLUMNS + threadIdx.x;
    const long long start = blockIdx.x / groups * (static_cast<long long>(rows) * columns) + column;
    const bool inside = column < columns;
    const double factor = factor_of(w + start, rows, columns, inside, low, high, centred);
    if (!inside || factor == 1.) return;
    for (int row = threadIdx.y; row < rows; row += LANES) {
        const long long place = start + row * static_cast<long long>(columns);
        w[place] = static_cast<float>(w[place] * factor);
        if (operands) put(&operands[place], w[place]);
    }
}
