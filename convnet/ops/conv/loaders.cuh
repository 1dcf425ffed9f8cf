// How operands come from global to shared memory: loaders for `multiply` of <convnet/pipeline.cuh>.
#pragma once

#include <climits>

#include <convnet/pipeline.cuh>

#include "taps.cuh"

// One row of a tile in its source: where its first tap lies, and the place of that in the image, which decides whether
// a tap is inside. `x` counts numbers, not pixels.
struct Spot {
    long long offset;
    int y, x;
};

static_assert(sizeof(Spot) == 16, "the host gives each 16 bytes of shared memory");

constexpr int OUTSIDE = INT_MIN / 2;  // a y that no tap brings into the image

// Copies VEC numbers of a run of taps, of which `count` are left. Only runs that are lines may end within a copy.
template <int VEC>
__device__ __forceinline__ void copy_taps(act* to, const act* from, bool valid, int count) {
    if constexpr (LINES)
        copy_some<VEC>(to, from, valid, count);
    else
        copy<VEC>(to, from, valid);
}

// Rows that are places in an image (or filters), K along their taps, which lie side by side within a run.
template <class T, int VEC>
struct LoadTaps {
    using C = Chunks<T, VEC>;
    // Whether places are kept from step to step: they change with the tap only, which lasts for several steps if it has
    // many channels. Lines change at once, and single numbers have too many places for the registers.
    static constexpr bool KEEP = !LINES && C::PASSES <= 4;
    static constexpr int KEPT = KEEP ? C::PASSES : 1;

    const act* source;
    const Spot* spots;  // in shared memory, one for each row
    Taps taps;
    Digits tap, step;
    long long row_stride, column_stride;  // numbers from tap to tap of the source
    int y_step, x_step;                   // of the place in the image
    int height, line;                     // of the image; a line in numbers
    const act* from[KEPT];                // of this thread's rows, at its place in the run
    unsigned inside = 0;                  // a bit for each
    bool moved = true;                    // to another tap, since they were found

    __device__ __forceinline__ LoadTaps(const act* source, const Spot* spots, const Taps& taps)
        : source(source), spots(spots), taps(taps), tap(C::column(), taps.radix()), step(K_STEP, taps.radix()) {}

    // Where row number `pass` of this thread reads, and whether that is inside.
    __device__ __forceinline__ const act* find(int pass, bool& valid) const {
        const Spot spot = spots[C::mine(pass) ? C::row(pass) : 0];
        const int y = spot.y + tap.high * y_step, x = spot.x + tap.middle * x_step + tap.low;
        valid = tap.high < taps.rows && static_cast<unsigned>(y) < static_cast<unsigned>(height) &&
                static_cast<unsigned>(x) < static_cast<unsigned>(line);
        return source + spot.offset + tap.high * row_stride + tap.middle * column_stride + tap.low;
    }

    __device__ __forceinline__ void load(act* tile) {
        if constexpr (KEEP) {
            if (moved) {
                inside = 0;
#pragma unroll
                for (int pass = 0; pass < C::PASSES; ++pass) {
                    bool valid;
                    from[pass] = find(pass, valid);
                    inside |= static_cast<unsigned>(valid) << pass;
                }
            }
        }
#pragma unroll
        for (int pass = 0; pass < C::PASSES; ++pass)
            if (C::mine(pass)) {
                act* const to = tile + C::row(pass) * T::PITCH + C::column();
                if constexpr (KEEP) {
                    copy_taps<VEC>(to, from[pass], inside >> pass & 1, taps.run - tap.low);
                    from[pass] += K_STEP;
                } else {
                    bool valid;
                    const act* const there = find(pass, valid);
                    copy_taps<VEC>(to, there, valid, taps.run - tap.low);
                }
            }
        const int high = tap.high, middle = tap.middle;
        tap.add(step, taps.radix());
        moved = tap.high != high || tap.middle != middle;
    }
};

// Rows of a matrix, one for each place of K: filters, or gradients of the modules of all cases.
template <class T, int VEC>
struct LoadRows {
    using C = Chunks<T, VEC>;
    const act* source;  // at this thread's row and column
    int left, width;    // rows from there on; numbers from row to row
    bool valid;

    // source: at the block's first row and column. rows, columns: how many there are from there on.
    __device__ __forceinline__ LoadRows(const act* source, int rows, int columns, int width)
        : source(source + static_cast<long long>(C::row(0)) * width + C::column()), left(rows - C::row(0)),
          width(width), valid(C::column() < columns) {}

    __device__ __forceinline__ void load(act* tile) {
#pragma unroll
        for (int pass = 0; pass < C::PASSES; ++pass)
            if (C::mine(pass))
                copy<VEC>(tile + C::row(pass) * T::PITCH + C::column(),
                          source + static_cast<long long>(pass * C::PER_PASS) * width,
                          valid && pass * C::PER_PASS < left);
        source += static_cast<long long>(K_STEP) * width;
        left -= K_STEP;
    }
};

// Filters that are read by lines, which have more places along K than rows.
template <class T, int VEC>
struct LoadLines {
    using C = Chunks<T, VEC>;
    const act* source;      // at the block's first filter, and this thread's column
    int rows, run, padded;  // lines of a filter, numbers of one, and its places along K
    int line, place;        // of this thread's first row of the next step
    int width;
    bool valid;

    __device__ __forceinline__ LoadLines(const act* source, const Taps& taps, int columns, int width)
        : source(source + C::column()), rows(taps.rows), run(taps.run), padded(taps.padded), line(C::row(0) / padded),
          place(C::row(0) % padded), width(width), valid(C::column() < columns) {}

    __device__ __forceinline__ void load(act* tile) {
        int y = line, x = place;
#pragma unroll
        for (int pass = 0; pass < C::PASSES; ++pass) {
            if (C::mine(pass)) {
                const long long row = y * run + x;
                copy<VEC>(tile + C::row(pass) * T::PITCH + C::column(), source + row * width,
                          valid && y < rows && x < run);
            }
            for (x += C::PER_PASS; x >= padded; x -= padded) ++y;
        }
        for (place += K_STEP; place >= padded; place -= padded) ++line;
    }
};

// K along the modules of all cases, and for each module the image's numbers under one run of taps for each thread.
template <class T, int VEC>
struct LoadUnderModules {
    using C = Chunks<T, VEC>;
    const act* source;  // at the group's first channel
    Digits module, pass_step, step;
    int cases, count;                 // `count`: numbers of this thread's chunk that are taps
    int tap_y, tap_x;                 // this thread's tap: line, and number within the line
    int height, line, stride, pixel;  // `pixel`: numbers of one
    Radix radix;

    __device__ __forceinline__ LoadUnderModules(
        const act* source, const Geometry& g, const Taps& taps, int first_place, const Positions& modules)
        : source(source), module(modules.at(C::row(0))),
          pass_step(C::PER_PASS, {g.modules_y, g.modules_x}), step(K_STEP, {g.modules_y, g.modules_x}),
          cases(g.cases), height(g.height), line(g.width * g.channels), stride(g.stride), pixel(g.channels),
          radix{g.modules_y, g.modules_x} {
        const Digits tap(first_place + C::column(), taps.radix());
        count = tap.high < taps.rows ? taps.run - tap.low : 0;
        tap_y = tap.high - g.padding;
        tap_x = (tap.middle - g.padding) * pixel + tap.low;
    }

    __device__ __forceinline__ void load(act* tile) {
        Digits here = module;
#pragma unroll
        for (int pass = 0; pass < C::PASSES; ++pass) {
            if (C::mine(pass)) {
                const int y = here.middle * stride + tap_y, x = here.low * stride * pixel + tap_x;
                const bool inside = here.high < cases && static_cast<unsigned>(y) < static_cast<unsigned>(height) &&
                                    static_cast<unsigned>(x) < static_cast<unsigned>(line);
                const long long at = (static_cast<long long>(here.high) * height + y) * line + x;
                copy_taps<VEC>(tile + C::row(pass) * T::PITCH + C::column(), source + at, inside, count);
            }
            here.add(pass_step, radix);
        }
        module.add(step, radix);
    }
};
