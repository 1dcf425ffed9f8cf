// Atomics: one thread runs at a time, so plain arithmetic is atomic. Their order is that of threads and blocks.
#pragma once

#include <type_traits>

#include <virtual_gpu/execution.h>

namespace virtual_gpu {

template <class T>
using Same = std::type_identity_t<T>;

template <class T>
concept Integer = std::is_integral_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);

// Puts next(old value) in the place of the old value, which it returns.
template <class T, class Function>
inline T exchange(T* target, Function next) {
    if constexpr (races_checked) begin_atomic(target, sizeof(T));
    const T old = *target;
    *target = next(old);
    if constexpr (races_checked) end_atomic();
    return old;
}

}  // namespace virtual_gpu

template <class T>
inline T atomicAdd(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, [&](auto old) { return static_cast<T>(old + value); }); }

template <virtual_gpu::Integer T>
inline T atomicSub(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, [&](auto old) { return old - value; }); }

template <virtual_gpu::Integer T>
inline T atomicMin(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, [&](auto old) { return old < value ? old : value; }); }

template <virtual_gpu::Integer T>
inline T atomicMax(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, [&](auto old) { return old > value ? old : value; }); }

template <virtual_gpu::Integer T>
inline T atomicAnd(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, [&](auto old) { return old & value; }); }

template <virtual_gpu::Integer T>
inline T atomicOr(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, [&](auto old) { return old | value; }); }

template <virtual_gpu::Integer T>
inline T atomicXor(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, [&](auto old) { return old ^ value; }); }

template <class T>
inline T atomicExch(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, [&](auto old) { return value; }); }

template <virtual_gpu::Integer T>
inline T atomicCAS(T* target, virtual_gpu::Same<T> expected, virtual_gpu::Same<T> value) {
    return virtual_gpu::exchange(target, [&](auto old) { return old == expected ? value : old; });
}

inline unsigned atomicInc(unsigned* target, unsigned limit) {
    return virtual_gpu::exchange(target, [&](auto old) { return old >= limit ? 0 : old + 1; });
}

inline unsigned atomicDec(unsigned* target, unsigned limit) {
    return virtual_gpu::exchange(target, [&](auto old) { return old == 0 || old > limit ? limit : old - 1; });
}
