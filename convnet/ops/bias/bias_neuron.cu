// y = f(y + bias) in place: see cuda_neuron.py. Threads take N columns each, of one row or several.

#include <convnet/grid.cuh>
#include <convnet/neuron.cuh>
#include <convnet/span.cuh>

template <int N>
__device__ __forceinline__ void add_and_apply(
    act* y, const float* bias, int rows, int columns, int code, float a, float b) {
    const int column = own_column<N>();
    if (column >= columns) return;
    float add[N] = {};
    if (bias) load_span<N>(bias + column, add);
    for (long long row = first_row(); row < rows; row += row_step()) {
        float v[N];
        load_span<N>(y + row * columns + column, v);
#pragma unroll
        for (int i = 0; i < N; ++i) v[i] = neuron(code, a, b, v[i] + add[i]);
        store_span<N>(y + row * columns + column, v);
    }
}

extern "C" __global__ void packs(act* y, const float* bias, int rows, int columns, int code, float a, float b) {
    add_and_apply<PACK>(y, bias, rows, columns, code, a, b);
}

extern "C" __global__ void singles(act* y, const float* bias, int rows, int columns, int code, float a, float b) {
    add_and_apply<1>(y, bias, rows, columns, code, a, b);
}
