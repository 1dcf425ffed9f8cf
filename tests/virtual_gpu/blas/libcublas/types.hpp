// The numbers by which cuBLAS's interface names things, from NVIDIA's cuBLAS documentation.
#pragma once

#include <cstdint>

#include <cuda.h>
#include <library_types.h>

enum Status { success = 0, not_initialized = 1, invalid_value = 7, execution_failed = 13, not_supported = 15 };
enum Transposition { plain = 0, transposed = 1, conjugate_transposed = 2 };
enum PointerMode { host_pointers = 0, device_pointers = 1 };
enum MathMode { default_math = 0, pedantic_math = 2, tf32_math = 3 };
enum ComputeType { compute_32f = 68, compute_32f_pedantic = 69, compute_32f_fast_tf32 = 77 };

struct Handle {
    CUstream stream = nullptr;
    int pointer_mode = host_pointers;
    int math_mode = default_math;
    int atomics_mode = 0;
};

// A matrix in device memory, column by column.
struct Matrix {
    const void* data;
    cudaDataType type;
    std::int64_t leading;
    std::int64_t stride;  // numbers from one matrix of a batch to the next
    int transposition;
};

// c = alpha op(a) op(b) + beta c, `batch` times.
struct Product {
    std::int64_t m, n, k, batch;
    Matrix a, b, c;
    bool tf32;
    float alpha, beta;
    const float* device_alpha;  // null: the values are above
    const float* device_beta;
};

// Computes a product now.
CUresult compute(const Product& product);

extern "C" {
CUresult virtual_gpu_enqueue(CUstream stream, CUresult (*run)(void*), void (*destroy)(void*), void* data);
int virtual_gpu_known(const void* address, std::size_t bytes);
}
