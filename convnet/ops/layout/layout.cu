// Changes of memory order: see cuda.py.

#include <convnet/grid.cuh>
#include <convnet/span.cuh>

constexpr int ROOM = 64 * 65;  // numbers of a tile, as in cuda.py

// The places of a block's thread in a matrix that its threads pass over row by row; one division for all of them.
struct Walk {
    int columns, row, column, step_rows, step_columns;

    __device__ __forceinline__ explicit Walk(int columns)
        : columns(columns), row(threadIdx.x / columns), column(threadIdx.x % columns),
          step_rows(blockDim.x / columns), step_columns(blockDim.x % columns) {}

    __device__ __forceinline__ void next() {
        row += step_rows;
        column += step_columns;
        if (column >= columns) {
            column -= columns;
            ++row;
        }
    }
};

// dst (columns, rows) (+)= the transpose of src (rows, columns), for each case. A block moves one tile of height x width.
extern "C" __global__ void transpose(
    const act* src, act* dst, int rows, int columns, int height, int width, int accumulate) {
    __shared__ float tile[ROOM];
    const int across = (columns + width - 1) / width, down = (rows + height - 1) / height, stride = width | 1;
    const int left = blockIdx.x % across * width, top = blockIdx.x / across % down * height;
    const long long start = blockIdx.x / across / down * (static_cast<long long>(rows) * columns);
    const int wide = min(width, columns - left), high = min(height, rows - top);
    for (Walk in(wide); in.row < high; in.next())
        tile[in.row * stride + in.column] =
            to_float(src[start + (top + in.row) * static_cast<long long>(columns) + left + in.column]);
    __syncthreads();
    for (Walk out(high); out.row < wide; out.next())
        store_or_add(&dst[start + (left + out.row) * static_cast<long long>(rows) + top + out.column],
                     tile[out.column * stride + out.row], accumulate);
}

// dst (+)= src, both with several channels: number i of dst is feature f, and f of src is read from where it lies.
extern "C" __global__ void gather(
    const act* src, int src_channels, act* dst, int dst_channels, int cases, int features, int accumulate) {
    const int place = own_column<1>();
    if (place >= features) return;
    const int src_pixels = features / src_channels, dst_pixels = features / dst_channels;
    const int feature = place % dst_channels * dst_pixels + place / dst_channels;
    const int from = feature % src_pixels * src_channels + feature / src_pixels;
    for (long long item = first_row(); item < cases; item += row_step())
        store_or_add(&dst[item * features + place], to_float(src[item * features + from]), accumulate);
}
