// How threads of a block and lanes of a warp work together; each mistake beside the kernel without it.

constexpr unsigned ALL = 0xffffffffu;

// Turns the elements of every block round, by shared memory.
template <bool barrier>
__device__ void reverse(const int* x, int* y) {
    __shared__ int kept[256];
    const int first = blockIdx.x * blockDim.x;
    kept[threadIdx.x] = x[first + threadIdx.x];
    if (barrier) __syncthreads();
    y[first + threadIdx.x] = kept[blockDim.x - 1 - threadIdx.x];
}

extern "C" __global__ void reverse_right(const int* x, int* y) { reverse<true>(x, y); }
extern "C" __global__ void reverse_wrong(const int* x, int* y) { reverse<false>(x, y); }

// y[i] = the sum of x[i] over `rounds` tiles, read by the next thread: the second barrier keeps a tile until it is read.
template <bool second_barrier>
__device__ void tiles(const int* x, int* y, int rounds) {
    __shared__ int tile[256];
    int sum = 0;
    for (int round = 0; round < rounds; ++round) {
        tile[threadIdx.x] = x[round * blockDim.x + threadIdx.x];
        __syncthreads();
        sum += tile[(threadIdx.x + 37) % blockDim.x];
        if (second_barrier) __syncthreads();
    }
    y[threadIdx.x] = sum;
}

extern "C" __global__ void tiles_right(const int* x, int* y, int rounds) { tiles<true>(x, y, rounds); }
extern "C" __global__ void tiles_wrong(const int* x, int* y, int rounds) { tiles<false>(x, y, rounds); }

// Adds up shared memory within a warp; without __syncwarp it counts on lanes that go in step.
template <bool synchronized>
__device__ void warp_sum(const int* x, int* y) {
    __shared__ int parts[32];
    parts[threadIdx.x] = x[threadIdx.x];
    if (synchronized) __syncwarp();
    for (int distance = 16; distance > 0; distance /= 2) {
        if (threadIdx.x < distance) parts[threadIdx.x] += parts[threadIdx.x + distance];
        if (synchronized) __syncwarp();
    }
    if (threadIdx.x == 0) y[0] = parts[0];
}

extern "C" __global__ void warp_sum_right(const int* x, int* y) { warp_sum<true>(x, y); }
extern "C" __global__ void warp_sum_wrong(const int* x, int* y) { warp_sum<false>(x, y); }

extern "C" __global__ void shuffles(const float* x, float* y) {
    const float value = x[threadIdx.x];
    float* out = y + threadIdx.x;
    const int stride = blockDim.x;
    out[0 * stride] = __shfl_sync(ALL, value, (threadIdx.x * 7 + 3) % 32);
    out[1 * stride] = __shfl_sync(ALL, value, 5, 8);
    out[2 * stride] = __shfl_up_sync(ALL, value, 3);
    out[3 * stride] = __shfl_down_sync(ALL, value, 5, 16);
    out[4 * stride] = __shfl_xor_sync(ALL, value, 9);
    out[5 * stride] = static_cast<float>(__shfl_xor_sync(ALL, static_cast<double>(value) * 3, 1));
}

extern "C" __global__ void votes(const int* x, unsigned* y) {
    const int value = x[threadIdx.x];
    unsigned* out = y + threadIdx.x;
    const int stride = blockDim.x;
    out[0 * stride] = __ballot_sync(ALL, value > 2);
    out[1 * stride] = __any_sync(ALL, value == 4);
    out[2 * stride] = __all_sync(ALL, value >= 0);
    out[3 * stride] = __match_any_sync(ALL, value);
    out[4 * stride] = __reduce_add_sync(ALL, value);
    out[5 * stride] = __reduce_max_sync(ALL, value);
    out[6 * stride] = __syncthreads_count(value == 1);
    out[7 * stride] = __syncthreads_or(value == 99);
    out[8 * stride] = __syncthreads_and(value < 9);
}

// Halves of a warp that go different ways, and lanes that have returned.
extern "C" __global__ void parts_of_warps(int* y) {
    const unsigned lane = threadIdx.x;
    if (lane >= 28) return;
    if (lane < 12) y[lane] = __shfl_sync(0x00000fffu, lane * 10, 11 - lane);
    else y[lane] = __popc(__ballot_sync(0xfffff000u, lane % 2));
}

// Reads a lane that is not in the mask.
extern "C" __global__ void reads_an_absent_lane(float* y) {
    if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0x0000ffffu, 1.f, 16);
}

template <bool grouped>
__device__ void sum_of_all(const float* x, float* y, int size) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (!grouped) {
        if (i < size) atomicAdd(y, x[i]);
    } else if (i == 0) {
        float sum = 0.f;
        for (int k = 0; k < size; ++k) sum += x[k];
        *y = sum;
    }
}

extern "C" __global__ void sum_in_order(const float* x, float* y, int size) { sum_of_all<true>(x, y, size); }
extern "C" __global__ void sum_by_atomics(const float* x, float* y, int size) { sum_of_all<false>(x, y, size); }

extern "C" __global__ void atomics(int* y, unsigned* u, float* f) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(&y[0], i);
    atomicMin(&y[1], i - 50);
    atomicMax(&y[2], 2 * i);
    atomicSub(&y[3], 1);
    atomicOr(&u[0], 1u << i % 32);
    atomicAnd(&u[1], ~(1u << i % 4));
    atomicXor(&u[2], 1u);
    atomicInc(&u[3], 9u);
    atomicAdd(&f[0], 0.5f);
    if (atomicCAS(&y[4], 0, i + 1) == 0) atomicExch(&y[5], 1);
    atomicAdd(&y[6], atomicExch(&f[1], 1.f) == 0.f);
}

// Static and dynamic shared memory as a block finds it.
extern "C" __global__ void untouched_shared(float* y) {
    extern __shared__ float dynamic[];
    __shared__ float fixed[32];
    y[blockIdx.x * 64 + threadIdx.x] = fixed[threadIdx.x];
    y[blockIdx.x * 64 + 32 + threadIdx.x] = dynamic[threadIdx.x];
    fixed[threadIdx.x] = dynamic[threadIdx.x] = 1.f;
}

extern "C" __global__ void spin_barriers(int rounds) {
    for (int i = 0; i < rounds; ++i) __syncthreads();
}
