// Stands in for the product's header of this name: the same functions, in C++ instead of PTX.
#pragma once

#include <virtual_gpu/device.h>

namespace ptx {

namespace detail {

// The registers that a lane brings to a product.
struct Fragments {
    float* d;
    const unsigned* a;
    const unsigned* b;
};

// Tensor cores read the upper 19 bits of a tf32 operand.
inline float tf32(unsigned word) { return __uint_as_float(word & 0xffffe000u); }

inline float bf16(unsigned word, int half) { return __uint_as_float(half ? word & 0xffff0000u : word << 16); }

// Eight numbers that the processor treats as one.
using Row = float __attribute__((vector_size(32)));

// Calls visit(number, row, column) for every number of d that the lanes hold.
template <class Visitor>
inline void for_results(void* const lanes[32], Visitor visit) {
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++)
            visit(static_cast<const Fragments*>(lanes[lane])->d[i], lane / 4 + 8 * (i / 2), lane % 4 * 2 + i % 2);
}

// d += a b for the whole warp: a (16 x depth), b (depth x 8), both laid out row by row; sums in the order of depth.
template <int depth>
void multiply(void* const lanes[32], const float (&a)[16][depth], const Row (&b)[depth]) {
    Row d[16];
    for_results(lanes, [&](float number, int row, int column) { d[row][column] = number; });
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < depth; k++) d[row] += a[row][k] * b[k];
    for_results(lanes, [&](float& number, int row, int column) { number = d[row][column]; });
}

inline void require_whole_warp(unsigned participants) {
    if (participants != ~0u)
        virtual_gpu::fail(virtual_gpu::Failure::collective, "a warp's matrix instruction without all of its lanes");
}

inline void complete_tf32(void* const lanes[32], unsigned participants) {
    require_whole_warp(participants);
    float a[16][8];
    Row b[8];
    for (int lane = 0; lane < 32; lane++) {
        const auto& given = *static_cast<const Fragments*>(lanes[lane]);
        const int group = lane / 4, member = lane % 4;
        for (int i = 0; i < 4; i++) a[group + 8 * (i % 2)][member + 4 * (i / 2)] = tf32(given.a[i]);
        for (int i = 0; i < 2; i++) b[member + 4 * i][group] = tf32(given.b[i]);
    }
    multiply(lanes, a, b);
}

inline void complete_bf16(void* const lanes[32], unsigned participants) {
    require_whole_warp(participants);
    float a[16][16];
    Row b[16];
    for (int lane = 0; lane < 32; lane++) {
        const auto& given = *static_cast<const Fragments*>(lanes[lane]);
        const int group = lane / 4, member = lane % 4;
        for (int half = 0; half < 2; half++) {
            for (int i = 0; i < 4; i++)
                a[group + 8 * (i % 2)][2 * member + half + 8 * (i / 2)] = bf16(given.a[i], half);
            for (int i = 0; i < 2; i++) b[2 * member + half + 8 * i][group] = bf16(given.b[i], half);
        }
    }
    multiply(lanes, a, b);
}

// Where a lane's row of a matrix is, and where the lane wants its part of all four.
struct Rows {
    const void* row;
    unsigned* r;
};

template <bool transposed>
void complete_ldmatrix(void* const lanes[32], unsigned participants) {
    require_whole_warp(participants);
    const auto at = [&](int matrix, int row, int column) -> unsigned {
        const auto& given = *static_cast<const Rows*>(lanes[8 * matrix + row]);
        return static_cast<const std::uint16_t*>(given.row)[column];
    };
    for (int lane = 0; lane < 32; lane++)
        for (int matrix = 0; matrix < 4; matrix++) {
            const int major = lane / 4, minor = lane % 4 * 2;
            const unsigned low = transposed ? at(matrix, minor, major) : at(matrix, major, minor);
            const unsigned high = transposed ? at(matrix, minor + 1, major) : at(matrix, major, minor + 1);
            static_cast<const Rows*>(lanes[lane])->r[matrix] = low | high << 16;
        }
}

template <bool transposed>
inline void ldmatrix(unsigned (&r)[4], const void* row) {
    virtual_gpu::require_shared(row, 16, 16, "ldmatrix");
    if constexpr (virtual_gpu::races_checked) virtual_gpu::note_read(row, 16);
    Rows rows{row, r};
    virtual_gpu::warp_collective(~0u, complete_ldmatrix<transposed>, &rows);
}

}  // namespace detail

inline void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    detail::Fragments fragments{d, a, b};
    virtual_gpu::warp_collective(~0u, detail::complete_tf32, &fragments);
}

inline void mma_m16n8k16_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    detail::Fragments fragments{d, a, b};
    virtual_gpu::warp_collective(~0u, detail::complete_bf16, &fragments);
}

// To the nearest of the numbers with 10 bits of mantissa, ties away from zero; infinities and NaN stay.
inline unsigned round_to_tf32(float x) {
    const unsigned word = __float_as_uint(x);
    return (word & 0x7f800000u) == 0x7f800000u ? word : (word + 0x1000u) & 0xffffe000u;
}

template <int BYTES>
inline void cp_async(void* shared, const void* global, bool valid) {
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
    virtual_gpu::async_copy(shared, global, BYTES, valid);
}

inline void cp_async_commit() { virtual_gpu::async_commit(); }

template <int PENDING>
inline void cp_async_wait() { virtual_gpu::async_wait(PENDING); }

inline void ldmatrix_x4(unsigned (&r)[4], const void* row) { detail::ldmatrix<false>(r, row); }
inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) { detail::ldmatrix<true>(r, row); }

}  // namespace ptx
