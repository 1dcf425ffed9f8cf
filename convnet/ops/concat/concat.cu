// Copies of columns: see cuda.py. The source's and the target's rows have `from_columns` and `to_columns` numbers.

#include <convnet/grid.cuh>
#include <convnet/span.cuh>

template <int N>
__device__ __forceinline__ void copy_columns(
    const act* from, int from_columns, int from_offset, act* to, int to_columns, int to_offset, int rows, int columns,
    int accumulate) {
    const int column = own_column<N>();
    if (column >= columns) return;
    for (long long row = first_row(); row < rows; row += row_step()) {
        float v[N];
        load_span<N>(from + row * from_columns + from_offset + column, v);
        store_or_add(to + row * to_columns + to_offset + column, v, accumulate);
    }
}

extern "C" __global__ void copy_packs(
    const act* from, int from_columns, int from_offset, act* to, int to_columns, int to_offset, int rows, int columns,
    int accumulate) {
    copy_columns<PACK>(from, from_columns, from_offset, to, to_columns, to_offset, rows, columns, accumulate);
}

extern "C" __global__ void copy_singles(
    const act* from, int from_columns, int from_offset, act* to, int to_columns, int to_offset, int rows, int columns,
    int accumulate) {
    copy_columns<1>(from, from_columns, from_offset, to, to_columns, to_offset, rows, columns, accumulate);
}
