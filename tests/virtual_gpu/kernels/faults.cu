// Kernels with mistakes in them.

extern "C" __global__ void store_at(float* x, long long place) { x[place] = 1.f; }

extern "C" __global__ void load_float4_at(const float* x, float* y, int place) {
    *reinterpret_cast<float4*>(y) = *reinterpret_cast<const float4*>(x + place);
}

extern "C" __global__ void load_parts_at(const float* x, float* y, int place) {
    const float4 v = *reinterpret_cast<const float4*>(x + place);
    y[0] = v.x + v.w;
}

extern "C" __global__ void store_double_at(char* x, int place) { *reinterpret_cast<double*>(x + place) = 1.; }

extern "C" __global__ void dynamic_shared_at(float* y, int place) {
    extern __shared__ float shared[];
    shared[place] = 1.f;
    y[0] = shared[place];
}

__device__ __noinline__ float recurse(float* x, int depth) {
    float local[256];
    for (int i = 0; i < 256; i++) local[i] = x[0] + depth;
    if (depth > 0) local[depth % 256] += recurse(local, depth - 1);
    return local[depth % 256];
}

extern "C" __global__ void deep(float* x, int depth) { x[0] = recurse(x, depth); }

extern "C" __global__ void leaves_some(float* x, int staying) {
    if (threadIdx.x >= staying) return;
    __syncthreads();
    x[threadIdx.x] = 1.f;
}

extern "C" __global__ void waits_for_absent_lanes(int* x) {
    if (threadIdx.x < 16) x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, threadIdx.x, 1);
    else __syncthreads();
}

extern "C" __global__ void masks_differ(int* x) {
    const unsigned mask = threadIdx.x < 16 ? 0xffffffffu : 0xffff0000u;
    x[threadIdx.x] = __shfl_sync(mask, threadIdx.x, 16);
    __syncthreads();
}

extern "C" __global__ void not_in_own_mask(int* x) { x[threadIdx.x] = __shfl_sync(0xfffffffeu, threadIdx.x, 1); }

extern "C" __global__ void different_collectives(int* x) {
    if (threadIdx.x < 16) x[threadIdx.x] = __shfl_sync(0xffffffffu, threadIdx.x, 0);
    else x[threadIdx.x] = __ballot_sync(0xffffffffu, 1);
}

extern "C" __global__ void traps(int* x) {
    if (threadIdx.x == 3) __trap();
    x[threadIdx.x] = 1;
}

extern "C" __global__ void divides(int* x, int by) { x[0] = 7 / by; }
