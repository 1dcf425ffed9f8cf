// Atomics: one thread runs at a time, so plain arithmetic is atomic. Their order is that of threads and blocks.
#pragma once

#include <type_traits>

namespace virtual_gpu {

template <class T>
using Same = std::type_identity_t<T>;

template <class T>
concept Integer = std::is_integral_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);

template <class T>
inline T exchange(T* target, T value) {
    const T old = *target;
    *target = value;
    return old;
}

}  // namespace virtual_gpu

template <class T>
inline T atomicAdd(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, static_cast<T>(*target + value)); }

template <virtual_gpu::Integer T>
inline T atomicSub(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, *target - value); }

template <virtual_gpu::Integer T>
inline T atomicMin(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, *target < value ? *target : value); }

template <virtual_gpu::Integer T>
inline T atomicMax(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, *target > value ? *target : value); }

template <virtual_gpu::Integer T>
inline T atomicAnd(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, *target & value); }

template <virtual_gpu::Integer T>
inline T atomicOr(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, *target | value); }

template <virtual_gpu::Integer T>
inline T atomicXor(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, *target ^ value); }

template <class T>
inline T atomicExch(T* target, virtual_gpu::Same<T> value) { return virtual_gpu::exchange(target, value); }

template <virtual_gpu::Integer T>
inline T atomicCAS(T* target, virtual_gpu::Same<T> expected, virtual_gpu::Same<T> value) {
    return virtual_gpu::exchange(target, *target == expected ? value : *target);
}

inline unsigned atomicInc(unsigned* target, unsigned limit) {
    return virtual_gpu::exchange(target, *target >= limit ? 0 : *target + 1);
}

inline unsigned atomicDec(unsigned* target, unsigned limit) {
    return virtual_gpu::exchange(target, *target == 0 || *target > limit ? limit : *target - 1);
}
