// The step of learning: see convnet/ops/update. Weights, increments and gradients are float32; `operands`, if there are
// any, are the weights rounded to the type of activations.

#include <convnet/span.cuh>

constexpr int SEGMENTS = 128;  // as in cuda.py

struct Step {
    float keep, step, decay, learns;
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
__device__ __forceinline__ void update(const Weights& all, long long first, const Step& rates) {
    float w[N], inc[N], g[N];
    load_span<N>(all.w + first, w);
    load_span<N>(all.inc + first, inc);
    load_span<N>(all.g + first, g);
#pragma unroll
    for (int i = 0; i < N; ++i) {
        inc[i] = rates.keep * inc[i] - rates.step * g[i] - rates.decay * w[i];
        w[i] += inc[i];
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
    if (rates.learns == 0.f) return;
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

// What the column of this thread is to be multiplied by. The squares of float32 numbers are exact in float64, in which
// they are added up: each lane a part of the rows, then halves of the lanes to the other halves.
__device__ __forceinline__ double factor_of(
    const float* column, int rows, int columns, bool inside, double limit, int exact) {
    __shared__ double squares[LANES][COLUMNS];
    double sum = 0.;
    if (inside) {
#pragma unroll 4
        for (int row = threadIdx.y; row < rows; row += LANES) {
            const double value = column[row * static_cast<long long>(columns)];
            sum += value * value;
        }
    }
    squares[threadIdx.y][threadIdx.x] = sum;
    for (int half = LANES / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) squares[threadIdx.y][threadIdx.x] += squares[threadIdx.y + half][threadIdx.x];
    }
    __syncthreads();
    const double norm = sqrt(squares[0][threadIdx.x]);
    return norm > limit || (exact && norm > 0.) ? limit / norm : 1.;
}

// A block takes COLUMNS columns of one part of w, which has `rows` rows.
extern "C" __global__ void wball(float* w, act* operands, int rows, int columns, double limit, int exact) {
    const int groups = (columns + COLUMNS - 1) / COLUMNS;
    const int column = blockIdx.x % groups * COLUMNS + threadIdx.x;
    const long long start = blockIdx.x / groups * (static_cast<long long>(rows) * columns) + column;
    const bool inside = column < columns;
    const double factor = factor_of(w + start, rows, columns, inside, limit, exact);
    if (!inside || factor == 1.) return;
    for (int row = threadIdx.y; row < rows; row += LANES) {
        const long long place = start + row * static_cast<long long>(columns);
        w[place] = static_cast<float>(w[place] * factor);
        if (operands) put(&operands[place], w[place]);
    }
}
