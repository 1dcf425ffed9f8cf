// What a .cu file sees before its first line, in place of what nvcc would have put there.
//
// The words __global__, __device__, __shared__, __constant__ and __launch_bounds__ are no macros here: they are still in
// the preprocessed text, where the nvcc look-alike turns them into C++ (see ../../nvcc).
#pragma once

#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <math.h>
#include <type_traits>

#include <vector_types.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <vector_functions.h>

#include <virtual_gpu/execution.h>

#undef __global__
#undef __device__
#undef __shared__
#undef __constant__
#undef __launch_bounds__
#undef __host__
#undef __forceinline__
#undef __noinline__
#undef __grid_constant__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __grid_constant__

#define threadIdx (virtual_gpu::position.thread)
#define blockIdx (virtual_gpu::position.block)
#define blockDim (virtual_gpu::position.block_dim)
#define gridDim (virtual_gpu::position.grid_dim)
#define warpSize 32

#undef assert
#define assert(condition) \
    ((condition) ? (void)0 : virtual_gpu::fail(virtual_gpu::Failure::trap, "assertion failed: " #condition))
#define __builtin_assume(condition) ((void)0)

#include <virtual_gpu/atomics.h>
#include <virtual_gpu/memory.h>
#include <virtual_gpu/numbers.h>
#include <virtual_gpu/synchronization.h>

// Where the module's statics are that are no global variables: the shared memory of its kernels.
extern "C" {
extern char __bss_start[] __attribute__((visibility("hidden")));
extern char _end[] __attribute__((visibility("hidden")));
}
