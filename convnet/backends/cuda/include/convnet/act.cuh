// The type in which activations and their gradients are held: float, or bfloat16 with -DACT_BF16=1.
// Kernels compute in float.
#pragma once

#include <cuda_bf16.h>

#if ACT_BF16
using act = __nv_bfloat16;
#else
using act = float;
#endif

constexpr int PACK = 16 / sizeof(act);  // numbers that one 16-byte access moves

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

__device__ __forceinline__ void put(float* target, float value) { *target = value; }
__device__ __forceinline__ void put(__nv_bfloat16* target, float value) { *target = __float2bfloat16_rn(value); }
