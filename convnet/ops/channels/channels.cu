// Channels in another order: see cuda.py. Macro: SPAN, the columns of a thread.

#include <convnet/grid.cuh>
#include <convnet/span.cuh>

// to[row, column] (+)= the sum over t of from[row, places[t, column]]. A thread keeps its columns for all of its rows.
extern "C" __global__ void sum_columns(
    const act* from, int from_columns, const int* places, int times, act* to, int rows, int columns, int accumulate) {
    const int column = own_column<SPAN>();
    if (column >= columns) return;
    for (long long row = first_row(); row < rows; row += row_step()) {
        const act* source = from + row * from_columns;
        float sums[SPAN] = {};
        for (int t = 0; t < times; ++t) {
            alignas(16) int place[SPAN];
            copy_span<SPAN * sizeof(int)>(place, places + t * static_cast<long long>(columns) + column);
#pragma unroll
            for (int i = 0; i < SPAN; ++i) sums[i] += to_float(source[place[i]]);
        }
        store_or_add(to + row * columns + column, sums, accumulate);
    }
}
