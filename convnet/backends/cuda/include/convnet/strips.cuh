// Sums over square windows of images (n, y, x, channel), for the response normalizations within maps.
//
// A block has one strip after the other: some rows of one image, all columns, and SPAN * `spans` channels. What it
// computes on the way lies in planes of floats, in shared memory or in a workspace: rows from `base` on, (row, column,
// channel). A stage covers more rows than the one after it, by the reach of a window.
//
// A window has `size` rows and columns, `before` of them before its own and `after` behind it; the pixels whose windows
// contain a pixel begin `after` before it. Threads: x along a row, y over rows. Macro: SPAN.
#pragma once

#include <convnet/span.cuh>

struct StripGeometry {
    int height, width, channels, size;
    int rows;    // of a strip, except perhaps the last one of an image
    int spans;   // of SPAN channels, in a strip
    int strips;  // of an image, one below the other
    int groups;  // of channels
    int items;   // strips of all images
};

struct Range {
    int begin, end;
    __device__ __forceinline__ int length() const { return end - begin; }
};

// What lies from `before` ahead of a place, as much as a window has, clipped.
__device__ __forceinline__ Range window(int place, int before, int size, int end) {
    return {max(place - before, 0), min(place - before + size, end)};
}

struct Strip {
    const StripGeometry& g;
    int before, after;  // rows of a window above and below its own
    int channel;        // the first
    Range rows;
    int base;
    long long image;  // the first row of it in the array

    // above: how many rows the planes reach further up than the strip.
    __device__ __forceinline__ Strip(const StripGeometry& g, int item, int above) : g(g) {
        before = g.size / 2;
        after = g.size - 1 - before;
        const int group = item % g.groups, strip = item / g.groups % g.strips;
        image = item / g.groups / g.strips * (long long)g.height;
        channel = group * g.spans * SPAN;
        rows = {strip * g.rows, min((strip + 1) * g.rows, g.height)};
        base = max(rows.begin - above, 0);
    }

    __device__ __forceinline__ Range extended(Range inner, int up, int down) const {
        return {max(inner.begin - up, 0), min(inner.end + down, g.height)};
    }

    // Rows of which the windows of these rows are made, and rows whose windows contain these.
    __device__ __forceinline__ Range summed_by(Range inner) const { return extended(inner, before, after); }
    __device__ __forceinline__ Range summing(Range inner) const { return extended(inner, after, before); }

    __device__ __forceinline__ int plane_row() const { return g.width * g.spans * SPAN; }
    __device__ __forceinline__ int in_plane(int row, int column, int span) const {
        return (row - base) * plane_row() + (column * g.spans + span) * SPAN;
    }
    __device__ __forceinline__ long long in_array(int row, int column, int span) const {
        return ((image + row) * g.width + column) * g.channels + channel + span * SPAN;
    }

    // body(row, column, span) for all that these rows hold, divided among the threads.
    template <class Body>
    __device__ __forceinline__ void each(Range part, Body body) const {
        const int items = g.width * g.spans;
        for (int row = part.begin + threadIdx.y; row < part.end; row += blockDim.y)
            for (int item = threadIdx.x; item < items; item += blockDim.x) {
                const int column = item / g.spans, span = item - column * g.spans;
                if (channel + span * SPAN < g.channels) body(row, column, span);
            }
    }

    // line_sums = the sums along x, over the columns of each window, of value(row, column, span, v).
    template <class Value>
    __device__ __forceinline__ void sum_along(Range part, int before_own, float* line_sums, Value value) const {
        each(part, [&](int row, int column, int span) {
            const Range columns = window(column, before_own, g.size, g.width);
            float sums[SPAN] = {}, v[SPAN];
            for (int other = columns.begin; other < columns.end; ++other) {
                value(row, other, span, v);
#pragma unroll
                for (int i = 0; i < SPAN; ++i) sums[i] += v[i];
            }
            store_span(line_sums + in_plane(row, column, span), sums);
        });
    }

    // The sum over a whole window, from sums along its rows.
    __device__ __forceinline__ void sum_down(
        int row, int column, int span, int before_own, const float* line_sums, float (&sums)[SPAN]) const {
        const Range lines = window(row, before_own, g.size, g.height);
        float v[SPAN];
#pragma unroll
        for (int i = 0; i < SPAN; ++i) sums[i] = 0.f;
        for (int line = lines.begin; line < lines.end; ++line) {
            load_span(line_sums + in_plane(line, column, span), v);
#pragma unroll
            for (int i = 0; i < SPAN; ++i) sums[i] += v[i];
        }
    }
};
