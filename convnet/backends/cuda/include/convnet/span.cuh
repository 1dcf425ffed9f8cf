// N numbers in a row, read and written as float, in the widest accesses that their size allows.
#pragma once

#include <convnet/act.cuh>

// to = from: BYTES bytes, both aligned to 16, 8 or sizeof(T), the largest of which BYTES is a multiple.
template <int BYTES, class T>
__device__ __forceinline__ void copy_span(T* to, const T* from) {
    constexpr int WIDTH = BYTES % 16 == 0 ? 16 : BYTES % 8 == 0 ? 8 : sizeof(T);
#pragma unroll
    for (int i = 0; i < BYTES / WIDTH; ++i) {
        if constexpr (WIDTH == 16)
            reinterpret_cast<uint4*>(to)[i] = reinterpret_cast<const uint4*>(from)[i];
        else if constexpr (WIDTH == 8)
            reinterpret_cast<uint2*>(to)[i] = reinterpret_cast<const uint2*>(from)[i];
        else
            to[i] = from[i];
    }
}

// v = p[0 .. N - 1]; alignment as for copy_span.
template <int N, class T>
__device__ __forceinline__ void load_span(const T* p, float (&v)[N]) {
    alignas(16) T held[N];
    copy_span<N * sizeof(T)>(held, p);
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] = to_float(held[i]);
}

// p[0 .. N - 1] = v; alignment as for copy_span.
template <int N, class T>
__device__ __forceinline__ void store_span(T* p, const float (&v)[N]) {
    alignas(16) T held[N];
#pragma unroll
    for (int i = 0; i < N; ++i) put(&held[i], v[i]);
    copy_span<N * sizeof(T)>(p, held);
}

// p[0 .. N - 1] = v, or += it; alignment as for copy_span.
template <int N, class T>
__device__ __forceinline__ void store_or_add(T* p, float (&v)[N], int accumulate) {
    if (accumulate) {
        float before[N];
        load_span<N>(p, before);
#pragma unroll
        for (int i = 0; i < N; ++i) v[i] += before[i];
    }
    store_span<N>(p, v);
}

template <class T>
__device__ __forceinline__ void store_or_add(T* p, float value, int accumulate) {
    put(p, accumulate ? to_float(*p) + value : value);
}
