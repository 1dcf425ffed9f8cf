// What <convnet/ptx.cuh> offers.

#include <cuda_bf16.h>
#include <convnet/ptx.cuh>

// d (16 x 8) = a (16 x 8) b (8 x 8), all row by row.
template <bool rounded>
__device__ void product_tf32(const float* a, const float* b, float* d) {
    const int lane = threadIdx.x, group = lane / 4, member = lane % 4;
    const auto word = [](float x) { return rounded ? ptx::round_to_tf32(x) : __float_as_uint(x); };
    const unsigned ra[4] = {word(a[group * 8 + member]), word(a[(group + 8) * 8 + member]),
                            word(a[group * 8 + member + 4]), word(a[(group + 8) * 8 + member + 4])};
    const unsigned rb[2] = {word(b[member * 8 + group]), word(b[(member + 4) * 8 + group])};
    float rd[4] = {};
    ptx::mma_m16n8k8_tf32(rd, ra, rb);
    for (int i = 0; i < 4; ++i) d[(group + 8 * (i / 2)) * 8 + 2 * member + i % 2] = rd[i];
}

extern "C" __global__ void tf32_rounded(const float* a, const float* b, float* d) { product_tf32<true>(a, b, d); }
extern "C" __global__ void tf32_unrounded(const float* a, const float* b, float* d) { product_tf32<false>(a, b, d); }

extern "C" __global__ void round_all(const float* x, unsigned* y) { y[threadIdx.x] = ptx::round_to_tf32(x[threadIdx.x]); }

// d (16 x 8) = a (16 x 16) b (16 x 8); a row by row, b column by column; operands come by ldmatrix.
extern "C" __global__ void product_bf16(const __nv_bfloat16* a, const __nv_bfloat16* b, float* d) {
    __shared__ __align__(16) __nv_bfloat16 sa[16 * 16];
    __shared__ __align__(16) __nv_bfloat16 sb[16 * 16];
    const int lane = threadIdx.x, group = lane / 4, member = lane % 4;
    for (int i = lane; i < 256; i += 32) sa[i] = a[i];
    for (int i = lane; i < 256; i += 32) sb[i] = i < 128 ? b[i] : __float2bfloat16(0.f);
    __syncwarp();
    unsigned ra[4], rb[4];
    ptx::ldmatrix_x4(ra, &sa[lane % 16 * 16 + lane / 16 * 8]);
    ptx::ldmatrix_x4(rb, &sb[lane % 8 * 16 + lane / 8 % 2 * 8 + (lane / 16) * 128]);
    const unsigned both[2] = {rb[0], rb[1]};
    float rd[4] = {};
    ptx::mma_m16n8k16_bf16(rd, ra, both);
    for (int i = 0; i < 4; ++i) d[(group + 8 * (i / 2)) * 8 + 2 * member + i % 2] = rd[i];
}

// Four 8 x 8 matrices one below the other, read and written as the lanes get them.
template <bool transposed>
__device__ void four_matrices(const unsigned short* x, unsigned* y) {
    __shared__ __align__(16) unsigned short kept[32 * 8];
    for (int i = threadIdx.x; i < 256; i += 32) kept[i] = x[i];
    __syncwarp();
    unsigned r[4];
    if (transposed) ptx::ldmatrix_x4_trans(r, &kept[threadIdx.x * 8]);
    else ptx::ldmatrix_x4(r, &kept[threadIdx.x * 8]);
    for (int i = 0; i < 4; ++i) y[threadIdx.x * 4 + i] = r[i];
}

extern "C" __global__ void matrices(const unsigned short* x, unsigned* y) { four_matrices<false>(x, y); }
extern "C" __global__ void matrices_transposed(const unsigned short* x, unsigned* y) { four_matrices<true>(x, y); }

// y[i] = the sum over rounds of x[round][i], through two buffers that are filled ahead. PENDING = 1 is right.
template <int PENDING, int BYTES>
__device__ void pipeline(const float* x, float* y, int rounds, int size) {
    constexpr int EACH = BYTES / 4;
    __shared__ __align__(16) float buffers[2][32 * EACH];
    const int first = threadIdx.x * EACH;
    float sums[EACH] = {};
    const auto fetch = [&](int round) {
        if (round < rounds)
            ptx::cp_async<BYTES>(&buffers[round % 2][first], x + round * size + first, first < size);
        ptx::cp_async_commit();
    };
    fetch(0);
    for (int round = 0; round < rounds; ++round) {
        fetch(round + 1);
        ptx::cp_async_wait<PENDING>();
        __syncthreads();
        for (int i = 0; i < EACH; ++i) sums[i] += buffers[round % 2][first + i];
        __syncthreads();
    }
    for (int i = 0; i < EACH; ++i)
        if (first + i < size) y[first + i] = sums[i];
        else y[first + i] = -1.f - sums[i];
}

extern "C" __global__ void pipeline_4(const float* x, float* y, int n, int size) { pipeline<1, 4>(x, y, n, size); }
extern "C" __global__ void pipeline_8(const float* x, float* y, int n, int size) { pipeline<1, 8>(x, y, n, size); }
extern "C" __global__ void pipeline_16(const float* x, float* y, int n, int size) { pipeline<1, 16>(x, y, n, size); }
extern "C" __global__ void too_few_waits(const float* x, float* y, int n, int size) { pipeline<2, 16>(x, y, n, size); }

// Other threads' copies: they are there after the wait and a barrier.
template <bool barrier>
__device__ void neighbours(const float* x, float* y) {
    __shared__ float kept[64];
    ptx::cp_async<4>(&kept[threadIdx.x], x + threadIdx.x, true);
    ptx::cp_async_commit();
    ptx::cp_async_wait<0>();
    if (barrier) __syncthreads();
    y[threadIdx.x] = kept[63 - threadIdx.x];
}

extern "C" __global__ void neighbours_right(const float* x, float* y) { neighbours<true>(x, y); }
extern "C" __global__ void neighbours_wrong(const float* x, float* y) { neighbours<false>(x, y); }

extern "C" __global__ void misaligned_copy(const float* x, int place) {
    __shared__ __align__(16) float kept[8];
    ptx::cp_async<16>(kept, x + place, true);
}

extern "C" __global__ void misaligned_row(int place) {
    __shared__ __align__(16) unsigned short kept[8 * 64];
    unsigned r[4];
    ptx::ldmatrix_x4(r, &kept[threadIdx.x * 8 + place]);
}

extern "C" __global__ void copy_to_registers(const float* x) {
    float mine[4];
    ptx::cp_async<4>(mine, x, true);
}

extern "C" __global__ void copy_beyond_memory(const float* x, float* y, int valid) {
    __shared__ float kept[32];
    const float* const nowhere = x + (8192 - reinterpret_cast<long long>(x)) / 4;  // pages that no process has
    ptx::cp_async<4>(&kept[threadIdx.x], nowhere, valid);
    ptx::cp_async_commit();
    ptx::cp_async_wait<0>();
    y[threadIdx.x] = kept[threadIdx.x];
}

// Half of the warp only.
extern "C" __global__ void half_a_warp(float* d) {
    float rd[4] = {};
    const unsigned a[4] = {}, b[2] = {};
    if (threadIdx.x < 16) ptx::mma_m16n8k8_tf32(rd, a, b);
    else __syncthreads();
    d[threadIdx.x] = rd[0];
}
