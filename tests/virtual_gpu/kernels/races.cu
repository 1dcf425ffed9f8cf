// Threads that share memory, in an order and in none: each mistake beside the kernel without it.

#include <convnet/ptx.cuh>

constexpr unsigned ALL = 0xffffffffu;

// Counts threads: within a warp, in several warps or blocks, as the launch says.
extern "C" __global__ void count_right(int* y) { atomicAdd(y, 1); }
extern "C" __global__ void count_wrong(int* y) { *y += 1; }

extern "C" __global__ void count_shared_right(int* y) {
    __shared__ int sum;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    atomicAdd(&sum, 1);
    __syncthreads();
    if (threadIdx.x == 0) y[blockIdx.x] = sum;
}

// Some count by atomics, one does not.
extern "C" __global__ void count_mixed_wrong(int* y) {
    if (threadIdx.x == 7) *y += 1;
    else atomicAdd(y, 1);
}

// The sum of a block's numbers; a barrier is missing when the others have gone half way.
template <bool barriers>
__device__ void tree(const int* x, int* y) {
    __shared__ int parts[128];
    parts[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    for (int distance = 64; distance > 0; distance /= 2) {
        if (threadIdx.x < distance) parts[threadIdx.x] += parts[threadIdx.x + distance];
        if (barriers || distance != 64) __syncthreads();
    }
    if (threadIdx.x == 0) y[blockIdx.x] = parts[0];
}

extern "C" __global__ void tree_right(const int* x, int* y) { tree<true>(x, y); }
extern "C" __global__ void tree_wrong(const int* x, int* y) { tree<false>(x, y); }

__device__ int sum_of_warp(int value) {
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(ALL, value, distance);
    return value;
}

// The sum over a block, which every thread gets. Without the first barrier, a second call may overwrite what other warps
// still read of the first.
template <bool first_barrier>
__device__ int sum_of_block(int value, int* parts) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    value = sum_of_warp(value);
    if (first_barrier) __syncthreads();
    if (lane == 0) parts[warp] = value;
    __syncthreads();
    return sum_of_warp(lane < warps ? parts[lane] : 0);
}

template <bool first_barrier>
__device__ void two_sums(const int* x, int* y) {
    __shared__ int parts[32];
    const int sum = sum_of_block<first_barrier>(x[threadIdx.x], parts);
    const int squares = sum_of_block<first_barrier>(x[threadIdx.x] * x[threadIdx.x], parts);
    if (threadIdx.x == 0) y[blockIdx.x] = sum + squares;
}

extern "C" __global__ void two_sums_right(const int* x, int* y) { two_sums<true>(x, y); }
extern "C" __global__ void two_sums_wrong(const int* x, int* y) { two_sums<false>(x, y); }

// Lanes swap numbers with their neighbours through shared memory. `mask` names the lanes that wait for each other.
template <bool synchronized>
__device__ void neighbours(const int* x, int* y, unsigned mask) {
    __shared__ int kept[64];
    kept[threadIdx.x] = x[threadIdx.x];
    if (synchronized) __syncwarp(mask);
    y[threadIdx.x] = kept[threadIdx.x ^ 1];
}

extern "C" __global__ void neighbours_right(const int* x, int* y) { neighbours<true>(x, y, ALL); }
extern "C" __global__ void neighbours_in_pairs_right(const int* x, int* y) {
    neighbours<true>(x, y, 3u << (threadIdx.x % 32 & ~1));
}
extern "C" __global__ void neighbours_alone_wrong(const int* x, int* y) {
    neighbours<true>(x, y, 1u << threadIdx.x % 32);
}
extern "C" __global__ void neighbours_wrong(const int* x, int* y) { neighbours<false>(x, y, ALL); }

// What lane 0 wrote gets to lane 2 by way of lane 1, and to lane 3 by no way.
template <int reader>
__device__ void handed_on(int* y) {
    __shared__ int kept;
    const unsigned lane = threadIdx.x;
    if (lane == 0) kept = 5;
    if (lane < 2) __syncwarp(0x3u);
    if (lane == 1 || lane == 2) __syncwarp(0x6u);
    if (lane == reader) *y = kept;
}

extern "C" __global__ void handed_on_right(int* y) { handed_on<2>(y); }
extern "C" __global__ void handed_on_wrong(int* y) { handed_on<3>(y); }

// __syncwarp orders no other warps.
template <bool whole_block>
__device__ void other_warp(const int* x, int* y) {
    __shared__ int kept[64];
    kept[threadIdx.x] = x[threadIdx.x];
    if (whole_block) __syncthreads();
    else __syncwarp();
    y[threadIdx.x] = kept[threadIdx.x ^ 32];
}

extern "C" __global__ void other_warp_right(const int* x, int* y) { other_warp<true>(x, y); }
extern "C" __global__ void other_warp_wrong(const int* x, int* y) { other_warp<false>(x, y); }

// All read one number and write numbers of their own; blocks use shared memory one after the other.
extern "C" __global__ void read_one_right(const int* x, int* y) {
    __shared__ int kept;
    if (threadIdx.x == 0) kept = *x;
    __syncthreads();
    y[blockIdx.x * blockDim.x + threadIdx.x] = kept + x[0];
}

// What one block writes another one reads: launches are ordered, blocks are not.
extern "C" __global__ void shift(const int* x, int* y) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[i + 1];
}

// All write the same number.
extern "C" __global__ void flag_wrong(int* y) { *y = 1; }

extern "C" __global__ void bytes_right(char* y) { y[threadIdx.x] = static_cast<char>(threadIdx.x); }
extern "C" __global__ void halves_right(short* y) { y[threadIdx.x] = static_cast<short>(threadIdx.x); }
extern "C" __global__ void bytes_and_words_wrong(char* y) {
    if (threadIdx.x == 0) *reinterpret_cast<int*>(y) = 0;
    else y[threadIdx.x] = 1;
}

// Sums over rounds through a buffer that is filled by cp.async: each thread reads what its neighbour fetched.
template <bool barrier_after_wait, bool barrier_before_copy>
__device__ void fetched(const float* x, float* y, int rounds) {
    __shared__ float buffer[64];
    float sum = 0.f;
    for (int round = 0; round < rounds; ++round) {
        ptx::cp_async<4>(&buffer[threadIdx.x], &x[round * blockDim.x + threadIdx.x], true);
        ptx::cp_async_commit();
        ptx::cp_async_wait<0>();
        if (barrier_after_wait) __syncthreads();
        sum += buffer[(threadIdx.x + 33) % blockDim.x];
        if (barrier_before_copy) __syncthreads();
    }
    y[threadIdx.x] = sum;
}

extern "C" __global__ void fetched_right(const float* x, float* y, int rounds) { fetched<true, true>(x, y, rounds); }
extern "C" __global__ void fetched_unwaited_wrong(const float* x, float* y, int rounds) { fetched<false, true>(x, y, rounds); }
extern "C" __global__ void fetched_early_wrong(const float* x, float* y, int rounds) { fetched<true, false>(x, y, rounds); }

// Barriers on both sides, and yet the copy may still be on its way when it is read.
extern "C" __global__ void fetched_between_wrong(const float* x, float* y, int rounds) {
    __shared__ float buffer[64];
    buffer[threadIdx.x] = 0.f;
    __syncthreads();
    ptx::cp_async<4>(&buffer[threadIdx.x], &x[threadIdx.x], true);
    ptx::cp_async_commit();
    __syncthreads();
    y[threadIdx.x] = buffer[(threadIdx.x + 33) % blockDim.x] + rounds;
    __syncthreads();
    ptx::cp_async_wait<0>();
}

// Lanes read each other's rows by ldmatrix.
template <bool synchronized>
__device__ void rows(const unsigned* x, unsigned* y) {
    __shared__ __align__(16) unsigned kept[32 * 4];
    for (int i = threadIdx.x; i < 128; i += 32) kept[i] = x[i];
    if (synchronized) __syncwarp();
    unsigned r[4];
    ptx::ldmatrix_x4(r, &kept[threadIdx.x * 4]);
    for (int i = 0; i < 4; ++i) y[threadIdx.x * 4 + i] = r[i];
}

extern "C" __global__ void rows_right(const unsigned* x, unsigned* y) { rows<true>(x, y); }
extern "C" __global__ void rows_wrong(const unsigned* x, unsigned* y) { rows<false>(x, y); }

// All threads read a number before one of them writes it, for which lanes of its own warp alone have waited.
template <bool whole_block>
__device__ void replaced(const int* x, int* y) {
    __shared__ int kept;
    if (threadIdx.x == 0) kept = *x;
    __syncthreads();
    y[threadIdx.x] = kept;
    if (whole_block) __syncthreads();
    else __syncwarp();
    if (threadIdx.x == 1) kept = 2;
}

extern "C" __global__ void replaced_right(const int* x, int* y) { replaced<true>(x, y); }
extern "C" __global__ void replaced_wrong(const int* x, int* y) { replaced<false>(x, y); }
