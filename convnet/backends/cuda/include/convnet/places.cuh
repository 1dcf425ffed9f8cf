// The places of a thread in an array (n, height, width, channel): SPAN channels of a pixel each. Macro: SPAN.
//
// Rows are the array's rows, columns the spans of such a row: see convnet/backends/cuda/grid.py.
#pragma once

#include <convnet/grid.cuh>
#include <convnet/span.cuh>

// body(image, row, column, span, place) for each place of this thread.
template <class Body>
__device__ __forceinline__ void each_place(int rows, int height, int width, int spans, Body body) {
    const int item = own_column<1>(), column = item / spans, span = item - column * spans;
    if (column >= width) return;
    for (long long line = first_row(); line < rows; line += row_step()) {
        const int row = static_cast<int>(line), image = row / height;
        body(image, row - image * height, column, span, (line * width * spans + item) * SPAN);
    }
}
