// What most tests of the driver launch.

__constant__ float factors[4];
__device__ int calls;

struct Affine {
    float scale;
    float shift;
    int unused;
};

extern "C" __global__ void fill(float* x, float value, int size) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) x[i] = value;
}

extern "C" __global__ void add(const float* a, const float* b, float* sum, int size) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) sum[i] = a[i] + b[i];
}

extern "C" __global__ void times_factors(float* x) {
    x[threadIdx.x] *= factors[threadIdx.x % 4];
    if (threadIdx.x == 0) atomicAdd(&calls, 1);
}

// Parameters of several sizes, which lie at several alignments.
extern "C" __global__ void mixed(char first, double second, short third, long long fourth, Affine affine, double* out) {
    out[0] = first;
    out[1] = second;
    out[2] = third;
    out[3] = fourth;
    out[4] = affine.scale;
    out[5] = affine.shift;
}

extern "C" __global__ void __launch_bounds__(64 * 2, 2) at_most_128(int* out) { out[threadIdx.x] = threadIdx.x; }

extern "C" __global__ void places(int* out) {
    const int threads = blockDim.x * blockDim.y * blockDim.z;
    const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    out[block * threads + thread] = block * 1000 + thread;
}
